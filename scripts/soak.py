"""Tag words that never repeat, and watch the memory of the process.

    python scripts/soak.py MODEL --output docs/memory.png

spaCy keeps every new word. At the end of a memory zone it frees them, unless a component keeps
them; `text.memory.MemoryZones` rebuilds the vocab's tables too.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import spacy
import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track

from benchmarks.worker import memory
from ner_lstm_component.text.memory import MemoryZones

LETTERS = "aeiou", "bcdfghjklmnprstvwxz"
SENTENCE = 20

app = typer.Typer(add_completion=False)


@app.command()
def main(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A trained pipeline.")],
    tokens: Annotated[int, typer.Option(min=1_000, help="Tokens to tag.")] = 5_000_000,
    warm_up: Annotated[int, typer.Option(min=0, help="Tokens before the reference.")] = 200_000,
    zone: Annotated[int, typer.Option(min=1_000, help="Tokens of a memory zone.")] = 50_000,
    limit: Annotated[float, typer.Option(help="The allowed ratio to the reference.")] = 1.05,
    plain: Annotated[bool, typer.Option(help="Use spaCy's memory zones alone.")] = False,
    seed: Annotated[int, typer.Option(help="The seed of the words.")] = 0,
    output: Annotated[Path | None, typer.Option(metavar="PNG", help="The curve.")] = None,
) -> None:
    """Tag ever new words with MODEL, and fail if the memory grows by more than the limit."""
    nlp = spacy.load(model)
    texts = new_texts(seed)
    start, n_tokens = time.perf_counter(), 0
    curve = []
    enter = nlp.memory_zone if plain else MemoryZones(nlp).zone
    zones = range(-(-tokens // zone))
    for _ in track(zones, "Tagging", console=Console(stderr=True), transient=True):
        with enter():
            for doc in nlp.pipe(islice(texts, zone // SENTENCE)):
                n_tokens += len(doc)
        curve.append((n_tokens, memory() / 2**20))
    seconds = time.perf_counter() - start
    reference = next((mib for n, mib in curve if n >= warm_up), curve[-1][1])
    ratio = max(mib for n, mib in curve if n >= warm_up) / reference
    typer.echo(
        f"{n_tokens:,} tokens, {n_tokens / seconds:,.0f} a second, in zones of {zone:,}\n"
        f"Resident memory: {reference:,.0f} MiB after {warm_up:,} tokens, {curve[-1][1]:,.0f} MiB "
        f"at the end; at most {ratio:.3f} times the first"
    )
    if output is not None:
        draw(curve, reference, limit).savefig(output, dpi=110)
        typer.echo(f"Written to {output}")
    if ratio > limit:
        typer.echo(f"Error: the memory grew by more than {limit} times", err=True)
        raise typer.Exit(1)


def new_texts(seed: int) -> Iterator[str]:
    """Yield sentences of invented words, of which hardly any occurs twice."""
    rng = random.Random(seed)
    while True:
        words = (new_word(rng) for _ in range(SENTENCE - 1))
        yield f"{' '.join(words)}."


def new_word(rng: random.Random) -> str:
    """Return a word of eight or ten letters; there are 10**10, and every third has a capital."""
    vowels, consonants = LETTERS
    length = rng.randint(3, 4)
    word = "".join(rng.choice(consonants) + rng.choice(vowels) for _ in range(length))
    word += rng.choice(consonants) + rng.choice(consonants)
    return word if rng.random() < 2 / 3 else word.title()


def draw(curve: list[tuple[int, float]], reference: float, limit: float) -> Figure:
    """Draw the resident memory by the number of tokens, with the limit."""
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    ax = figure.subplots()
    ax.plot([n / 1e6 for n, _ in curve], [mib for _, mib in curve], color="#0072B2")
    ax.axhline(limit * reference, color="#D55E00", linestyle="--", label=f"{limit} × the reference")
    ax.set(
        title="Resident memory while tagging new words",
        xlabel="million tokens",
        ylabel="MiB",
        ylim=(0, 1.3 * reference),
    )
    ax.legend(loc="lower right", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    app()
