"""Tables and a picture of a benchmark: medians, and ratios with their range.

A measurement is a dict, as JSON holds it: how it was made, and its ``series``. A series has
the values of one system in one case, one for each round. Values of the same round were
measured one right after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from rich.markup import escape
from rich.table import Table

from benchmarks.pages import markdown
from ner_lstm_component.evaluation.pictures import BLUE, GREEN, GREY, ORANGE

Measurement = Mapping[str, Any]
Series = Mapping[str, Any]
# Colour and marker of each system.
Styles = Mapping[str, tuple[str, str]]

# Titles of the measurements, in the order of the page.
TITLES = {
    "pipe": "nlp.pipe on raw text",
    "single": "One sentence, nlp(text)",
    "load": "spacy.load and the first prediction, in a fresh process",
    "size": "Installed size",
    "train": "Training, evaluation excluded",
    "length": "One Doc by its length, without the tokenizer",
    "stream": "A stream of sentences by its length",
    "workers": "Two processes that each load the pipeline",
    "n_process": "nlp.pipe(n_process=2), Docs coming back as bytes",
    "budget": "Where the time goes",
}
# A ratio of these units says how many times as fast the first system is; a ratio of other
# units, how many times as much it takes. Of times, less is faster.
_RATES = ("words/s", "tokens/s", "sentences/s")
_TIMES = ("ms",)
_STYLES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (GREY, "^"))


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the minimum and the maximum of the rounds' values."""
    return float(np.median(values)), float(min(values)), float(max(values))


def gains(unit: str, values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return, round by round, how many times as fast values are, or how many times as much."""
    if unit in _TIMES:
        values, others = others, values
    return [one / other for one, other in zip(values, others, strict=True)]


def table_of(measurement: Measurement) -> list[tuple[str, ...]]:
    """Return all values of a measurement as a table. The first row is its head."""
    build = _by_case if measurement["compare"] == "systems" else _by_system
    return build(measurement["series"])


def _by_case(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """Make a row for each case: each system's value, and the first system against the others."""
    first, *others = systems = list(dict.fromkeys(one["system"] for one in series))
    table = [("", "unit", *systems, *(f"{first} against {other}" for other in others))]
    cases: dict[tuple[str, str], dict[str, Sequence[float]]] = {}
    for one in series:
        cases.setdefault((one["case"], one["unit"]), {})[one["system"]] = one["values"]
    for (case, unit), found in cases.items():
        meaning = " as fast" if unit in (*_RATES, *_TIMES) else " as much"
        cells = [_value(found[system]) if system in found else "" for system in systems]
        cells += [
            _ratio(gains(unit, found[first], found[other]), meaning)
            if first in found and other in found
            else ""
            for other in others
        ]
        table.append((case, unit, *cells))
    return table


def _by_system(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """Make a row for each system and case, compared with the system's first case of that unit."""
    table = [("system", "", "unit", "value", "of the first")]
    first: dict[tuple[str, str], Sequence[float]] = {}
    for one in series:
        values, unit = one["values"], one["unit"]
        base = first.setdefault((one["system"], unit), values)
        # The memory of a short Doc is noise around zero.
        ratio = "" if unit == "MB" else _ratio(gains("", values, base))
        table.append((one["system"], one["case"], unit, _value(values), ratio))
    return table


def _value(values: Sequence[float]) -> str:
    median, least, greatest = map(_number, spread(values))
    return median if len(values) == 1 else f"{median} ({least}–{greatest})"


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _ratio(values: Sequence[float], meaning: str = "") -> str:
    median, least, greatest = spread(values)
    ranged = "" if len(values) == 1 else f" ({least:.2f}–{greatest:.2f})"
    return f"{median:.2f}×{meaning}{ranged}"


def rich_table(name: str, measurement: Measurement) -> Table:
    """Return the table of a measurement for a terminal."""
    head, *body = table_of(measurement)
    title = f"{TITLES[name]}; {_how(measurement)}"
    table = Table(title=escape(title), title_justify="left")
    for column in head:
        table.add_column(escape(column), justify="left" if column in ("", "system") else "right")
    for row in body:
        table.add_row(*map(escape, row))
    return table


def _how(measurement: Measurement) -> str:
    time = "processor time" if measurement["clock"] == "cpu" else "wall time"
    return f"rounds: {measurement['rounds']}, threads: {measurement['threads']}, {time}"


def page_text(measurement: Measurement | None) -> str:
    """Return the text of a measurement on the page: its table, and how it was made."""
    if measurement is None:
        return "Not measured yet.\n"
    about = (
        f"`{measurement['command']}` on commit {measurement['commit']}; {_how(measurement)}; "
        f"load of the machine before: {measurement['machine']['load']:.1f}."
    )
    notes = "".join(f"\n{note}\n" for note in measurement["notes"])
    return f"{markdown(table_of(measurement))}{notes}\n{about}\n"


def machine_text(results: Mapping[str, Measurement]) -> str:
    """Describe each machine with its versions once."""
    machines = []
    for measurement in results.values():
        machine = measurement["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        machines.append(f"{machine['processor']}, {machine['cores']} cores; {versions}.\n")
    return "\n".join(dict.fromkeys(machines))


# ---------------------------------------------------------------- the picture


def draw(results: Mapping[str, Measurement], path: Path) -> None:
    """Draw the speed of tagging and training, and how it changes with a Doc's length."""
    panels = {"pipe": _draw_pipe, "single": _draw_bars, "train": _draw_bars, "length": _draw_length}
    found = {name: results[name]["series"] for name in panels if name in results}
    systems = dict.fromkeys(one["system"] for series in found.values() for one in series)
    styles = dict(zip(systems, cycle(_STYLES), strict=False))
    rows = max(1, -(-len(found) // 2))
    figure = Figure(figsize=(11, 4.2 * rows), layout="constrained")
    for place, (name, series) in enumerate(found.items()):
        axes = figure.add_subplot(rows, min(2, len(found)), place + 1)
        axes.set_title(TITLES[name], loc="left", fontsize=11)
        panels[name](axes, series, styles)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def _draw_pipe(axes: Axes, series: Sequence[Series], styles: Styles) -> None:
    cases = list(dict.fromkeys(one["case"] for one in series))
    _draw_lines(axes, series, [cases.index(one["case"]) for one in series], styles)
    axes.set_xticks(range(len(cases)), [case.split()[-1] for case in cases])
    axes.set_xlabel("texts in a batch")


def _draw_length(axes: Axes, series: Sequence[Series], styles: Styles) -> None:
    chosen = [one for one in series if one["unit"] == "µs/token"]
    lengths = [int(one["case"].split()[0].replace(",", "")) for one in chosen]
    _draw_lines(axes, chosen, lengths, styles)
    axes.set_xscale("log")
    axes.set_xlabel("tokens")


def _draw_lines(axes: Axes, series: Sequence[Series], x: Sequence[int], styles: Styles) -> None:
    """Draw a line for each system: the median of the rounds, with their range."""
    for system in dict.fromkeys(one["system"] for one in series):
        color, marker = styles[system]
        points = [
            (position, *spread(one["values"]))
            for position, one in zip(x, series, strict=True)
            if one["system"] == system
        ]
        at, middle, least, greatest = np.array(points).T
        whiskers = [middle - least, greatest - middle]
        axes.errorbar(at, middle, whiskers, color=color, marker=marker, capsize=3, label=system)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylabel(series[0]["unit"])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _draw_bars(axes: Axes, series: Sequence[Series], styles: Styles) -> None:
    """Draw a bar for each system and case of the first unit."""
    chosen = [one for one in series if one["unit"] == series[0]["unit"]]
    middle, least, greatest = np.array([spread(one["values"]) for one in chosen]).T
    places = range(len(chosen))
    colors = [styles[one["system"]][0] for one in chosen]
    whiskers = [middle - least, greatest - middle]
    axes.barh(places, middle, xerr=whiskers, color=colors, capsize=3)
    axes.bar_label(axes.containers[-1], [f"  {_number(value)}" for value in middle], padding=6)
    axes.set_yticks(places, [f"{one['system']}\n{one['case']}".strip() for one in chosen])
    axes.invert_yaxis()
    axes.set_xlabel(series[0]["unit"])
    axes.margins(x=0.2)
