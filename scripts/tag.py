"""Print a text with the entities that a pipeline finds."""

from __future__ import annotations

from typing import Annotated

import spacy
import typer
from rich.console import Console
from rich.text import Text
from spacy.tokens import Doc

COLORS = ("cyan", "green", "yellow", "magenta", "blue", "red", "bright_cyan", "bright_green")

app = typer.Typer(add_completion=False)


@app.command()
def main(
    model: Annotated[
        str, typer.Argument(help="The folder of a trained pipeline, or an installed one's name.")
    ],
    text: Annotated[str, typer.Argument(help="The text to tag.")],
) -> None:
    """Print TEXT with the entities that MODEL finds."""
    try:
        nlp = spacy.load(model)
    # Broken files raise many kinds of errors in the libraries that read them.
    except Exception as error:
        typer.echo(
            f"Error: {model}: cannot be loaded; expected the folder of a trained pipeline, or the "
            f"name of an installed one. {error}",
            err=True,
        )
        raise typer.Exit(1) from None
    doc = nlp(text)
    console = Console()
    console.print(render(doc))
    console.print()
    console.print(f"doc.ents: {[(ent.text, ent.label_) for ent in doc.ents]}", markup=False)


def render(doc: Doc) -> Text:
    """Return the text with coloured entities in brackets, each followed by its type."""
    rendered = Text()
    labels = sorted({ent.label_ for ent in doc.ents})
    position = 0
    for ent in doc.ents:
        color = COLORS[labels.index(ent.label_) % len(COLORS)]
        rendered.append(doc.text[position : ent.start_char])
        rendered.append("[", style=color)
        rendered.append(ent.text, style=f"bold {color}")
        rendered.append(f" {ent.label_}]", style=color)
        position = ent.end_char
    return rendered.append(doc.text[position:])


if __name__ == "__main__":
    app()
