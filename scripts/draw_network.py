"""Draw the network of a config: its layers, their output shapes and weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config, load_model_from_config

from ner_lstm_component.component import LSTMEntityRecognizer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# The entity types of ner_dataset.csv and of the embedded corpus.
LABELS = "art,eve,geo,gpe,nat,org,per,tim"

_COLORS = {
    "Embedding": "#9AD0F5",
    "Dense": "#8FD9BF",
    "Bidirectional": "#F7CF86",
    "LinearChainCRF": "#F2B8D4",
}

app = typer.Typer(add_completion=False)


class Block(NamedTuple):
    """A layer in the drawing.

    :param kind: The layer's class.
    :param text: The layer's name or purpose.
    :param shape: The shape of its output, without the batch.
    :param weights: The number of its weights.
    """

    kind: str
    text: str
    shape: str
    weights: int


@app.command()
def main(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A config, such as configs/default.cfg.")
    ],
    output: Annotated[Path, typer.Argument(metavar="PNG", help="The picture to write.")],
    labels: Annotated[str, typer.Option(help="Entity types, divided by commas.")] = LABELS,
) -> None:
    """Build and draw the network of CONFIG's ner_lstm."""
    nlp = load_model_from_config(load_config(config), auto_fill=True)
    pipes = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, LSTMEntityRecognizer)]
    if not pipes:
        typer.echo(f"Error: {config} has no component ner_lstm, so there is no network", err=True)
        raise typer.Exit(1)
    example = Example(Doc(nlp.vocab, words=["."]), Doc(nlp.vocab, words=["."], ents=["O"]))
    pipes[0].initialize(lambda: [example], nlp=nlp, labels=labels.split(","))
    wrapper: Any = pipes[0].model.layers[1].shims[0]
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(blocks_of(wrapper.keras_model), f"The network of {config.name}").savefig(output)
    typer.echo(f"Written to {output}")


def blocks_of(network: Any) -> list[Block]:
    """Return the layers from the input to the CRF, without those that only reshape."""
    blocks = []
    for operation in network.encoder.operations:
        kind = type(operation).__name__
        if kind == "Reshape" or operation.name == "mask":
            continue
        shape = " × ".join(str(n or "time") for n in operation.output.shape[1:])
        n_weights = sum(_size(weight) for weight in getattr(operation, "weights", ()))
        blocks.append(Block(kind, _text(operation, kind), shape, n_weights))
    crf = network.crf
    tags = len(crf.allowed) - 1
    n_weights = sum(map(_size, crf.weights))
    blocks.append(Block("LinearChainCRF", "transitions, Viterbi", f"time ({tags} tags)", n_weights))
    return blocks


def draw(blocks: Sequence[Block], title: str) -> Figure:
    """Draw the layers from top to bottom."""
    figure = Figure(figsize=(6.2, 0.62 * len(blocks) + 0.8), dpi=110, layout="constrained")
    ax = figure.subplots()
    ax.set_axis_off()
    ax.set_xlim(0, 10)
    ax.set_ylim(-len(blocks), 0.2)
    for k, block in enumerate(blocks):
        y = -k - 0.75
        color = _COLORS.get(block.kind, "#ECECEC")
        style = "round,pad=0,rounding_size=0.15"
        box = FancyBboxPatch((0.3, y), 6.4, 0.62, boxstyle=style, facecolor=color, edgecolor="#444")
        ax.add_patch(box)
        ax.text(0.5, y + 0.31, block.kind, va="center", fontweight="bold", fontsize=9)
        ax.text(6.5, y + 0.31, block.text, va="center", ha="right", fontsize=9)
        weights = f"\n{block.weights:,} weights" if block.weights else ""
        ax.text(6.9, y + 0.31, block.shape + weights, va="center", fontsize=8)
        if k:
            ends = {"xy": (3.5, y + 0.62), "xytext": (3.5, y + 1.0)}
            ax.annotate("", **ends, arrowprops={"arrowstyle": "-|>", "color": "#444"})
    total = sum(block.weights for block in blocks)
    ax.set_title(f"{title}: {total:,} weights")
    return figure


def _text(operation: Any, kind: str) -> str:
    if kind == "Bidirectional":
        return f"LSTM, {operation.forward_layer.units} units per direction"
    if kind == "Sum":
        return "over a feature's two hashes"
    if kind == "InputLayer":
        return "ids of each token's features" if operation.name == "features" else operation.name
    if kind == "Dropout":
        return "in training"
    return operation.name


def _size(weight: Any) -> int:
    size = 1
    for n in weight.shape:
        size *= n
    return size


if __name__ == "__main__":
    app()
