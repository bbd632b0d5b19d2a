"""Write a trained pipeline's model card, the README.md that ``spacy package`` includes.

The meaning of the entity types is added to meta.json, from which the service's page reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import jinja2
import srsly
import typer

from ner_lstm_component.evaluation.report import escape_markdown

CARD = "README.md"

# Descriptions of the known data sets. Other data sets are only named.
EMBEDDED = (
    "the embedded corpus of `ner_lstm_component`: invented sentences, made by a script and free "
    "to use. **This pipeline is an example.** It has learned that script's sentences, not English; "
    "do not use it on real text"
)
GMB = (
    "`ner_dataset.csv` (Kaggle, *Annotated Corpus for Named Entity Recognition*), a part of the "
    "Groningen Meaning Bank: English news of 2003 to 2010, annotated by machines and corrected in "
    "part, so that its types and boundaries often disagree with themselves"
)

# The entity types of both data sets.
LEGEND = {
    "art": "Works and products",
    "eve": "Events",
    "geo": "Places",
    "gpe": "Peoples and states",
    "nat": "Natural phenomena",
    "org": "Organisations",
    "per": "Persons",
    "tim": "Times",
}

# Types with fewer test entities or a lower F1 are named among the limits.
FEW_ENTITIES = 100
LOW_F1 = 0.6

TEMPLATE = """\
# {{ name }} {{ version }}

A spaCy pipeline for English named entities of the types {{ labels | join(", ") }}
(components: {{ components | join(", ") }}).

```python
import spacy

nlp = spacy.load("{{ name }}")
doc = nlp("Maria Costa of the World Bank flew from Nairobi to London.")
print([(ent.text, ent.label_) for ent in doc.ents])
```

## Data

Trained on {{ data }}.

- Split: {{ split }}.
- Test part: {{ "{:,}".format(metrics.documents) }} sentences, {{ "{:,}".format(metrics.tokens) }}
  tokens, {{ "{:,}".format(metrics.micro.gold) }} entities.

## Scores

Strict, in percent, on the test part: an entity counts only with exactly its words and its type.
In brackets, the 95 % bootstrap interval.

| | precision | recall | F1 | entities |
| --- | ---: | ---: | ---: | ---: |
{% for label, score in rows %}
| {{ label }} | {{ percent(score.precision) }} | {{ percent(score.recall) }} | \
{{ percent(score.f1) }}{{ interval(score) }} | {{ "{:,}".format(score.gold) }} |
{% endfor %}

Relaxed F1: {{ percent(metrics.relaxed.partial.f1) }} with half a point for overlapping words,
{{ percent(metrics.relaxed.exact.f1) }} if the type is ignored.

## Limits

{% for limit in limits %}
- {{ limit }}
{% endfor %}

## Licence

The code, `ner_lstm_component`, is under the MIT licence. The weights were learned from the data
above: {{ licence }}.
"""

app = typer.Typer(add_completion=False)


@app.command()
def main(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="The folder of a trained pipeline.")
    ],
    metrics: Annotated[
        Path, typer.Argument(metavar="METRICS.json", help="Its scores, written by evaluate.py.")
    ],
    dataset: Annotated[str, typer.Option(help="The file or folder of its training data.")],
    split: Annotated[str, typer.Option(help="How the data was split, if it is one file.")],
    name: Annotated[str, typer.Option(help="The package's name, without its language.")],
    version: Annotated[str, typer.Option(help="The package's version.")],
) -> None:
    """Write README.md into the folder MODEL: data, scores, limits and licence."""
    try:
        meta, scores = srsly.read_json(model / "meta.json"), srsly.read_json(metrics)
        if _data(dataset)[0] in (EMBEDDED, GMB):
            srsly.write_json(model / "meta.json", meta | {"legend": LEGEND})
        meta |= {"name": name, "version": version}
        if Path(dataset).is_dir():
            split = "given by the data"
        (model / CARD).write_text(card(meta, scores, dataset, split), encoding="utf-8")
    except (OSError, ValueError) as error:
        typer.echo(
            f"Error: the model card cannot be written ({error}). Expected the folder of a trained "
            "pipeline, and the metrics.json that scripts/evaluate.py writes for it.",
            err=True,
        )
        raise typer.Exit(1) from None
    except KeyError as error:
        typer.echo(
            f"Error: {model / 'meta.json'} or {metrics} lacks {error}; scripts/evaluate.py "
            "writes the latter.",
            err=True,
        )
        raise typer.Exit(1) from None
    typer.echo(f"Written to {model / CARD}")


def card(meta: dict[str, Any], metrics: dict[str, Any], dataset: str, split: str) -> str:
    """Return the model card as Markdown.

    :param meta: The pipeline's ``meta.json``.
    :param metrics: The pipeline's ``metrics.json``.
    :param dataset: The file or folder of the training data.
    :param split: How the data was split.
    :raises KeyError: If one of the files lacks a value.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    data, licence = _data(dataset)
    types = metrics["types"].items()
    return environment.from_string(TEMPLATE).render(
        name=f"{meta['lang']}_{meta['name']}",
        version=meta["version"],
        labels=sorted(escape_markdown(label) for label in _labels(meta)),
        components=[f"`{component}`" for component in meta["components"]],
        data=data,
        split=escape_markdown(split),
        metrics=metrics,
        rows=[
            ("all", metrics["micro"]),
            *((escape_markdown(label), score) for label, score in types),
        ],
        limits=limits(metrics),
        licence=licence,
        percent=_percent,
        interval=_interval,
    )


def limits(metrics: dict[str, Any]) -> list[str]:
    """Return the limits of the pipeline that the scores show."""
    found = []
    weak = [
        f"{escape_markdown(label)} (F1 {_percent(score['f1'])}, {score['gold']:,} entities)"
        for label, score in metrics["types"].items()
        if score["gold"] and (score["gold"] < FEW_ENTITIES or score["f1"] < LOW_F1)
    ]
    if weak:
        found.append(f"Types that are rare in the data or have a low F1: {', '.join(weak)}.")
    familiarity = metrics["by_familiarity"] or {}
    if "never seen" in familiarity:
        score = familiarity["never seen"]
        found.append(
            f"Entities that do not occur in the training data have an F1 of "
            f"{_percent(score['f1'])} ({score['gold']:,} of the test entities)."
        )
    if metrics["calibration"]:
        error = metrics["calibration"]["expected_calibration_error"]
        found.append(f"Confidences are off by {_percent(error)} percentage points on average.")
    for note in metrics["notes"]:
        found.append(escape_markdown(note))
    found.append(
        "Expect worse results on text of another language, domain or time than the data. The "
        "scores say nothing about it."
    )
    return found


def _data(dataset: str) -> tuple[str, str]:
    """Return a description of the data, and what follows for the weights' licence."""
    path = Path(dataset)
    if path == Path("corpus"):
        return EMBEDDED, "the embedded corpus is under the same licence"
    if path.name.startswith("ner_dataset"):
        return GMB, "it has its own terms, which Kaggle's page names"
    return f"`{path.name}`", "its terms apply to them"


def _labels(meta: dict[str, Any]) -> set[str]:
    entities = (labels for name, labels in meta["labels"].items() if "ner" in name)
    return {label for labels in entities for label in labels}


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(score: dict[str, Any]) -> str:
    bounds = score["intervals"].get("f1")
    return f" ({_percent(bounds[0])}–{_percent(bounds[1])})" if bounds else ""


if __name__ == "__main__":
    app()
