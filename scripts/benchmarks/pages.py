"""Pages of results: their tables are filled in from files of results, never by hand."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

ROOT = Path(__file__).resolve().parents[2]


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown. The first row is its head."""
    head, *body = ("| " + " | ".join(cells) + " |" for cells in table)
    return "\n".join([head, "| --- " * len(table[0]) + "|", *body]) + "\n"


def fill(page: Path, texts: Mapping[str, str]) -> None:
    """Replace the text between a page's markers.

    :param texts: By the name in ``<!-- table NAME -->``; ``<!-- end -->`` follows each.
    """
    text = page.read_text(encoding="utf-8")
    for name, new in texts.items():
        start, end = f"<!-- table {name} -->\n", "<!-- end -->"
        if start not in text:
            raise typer.BadParameter(f"{page} has no place for the table {name!r}: {start.strip()}")
        before, after = text.split(start)
        text = before + start + new + after[after.index(end) :]
    page.write_text(text, encoding="utf-8")


def commit() -> str:
    """Return the commit that is checked out, marked if the working tree differs from it."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
