"""What a benchmark's measurements say: ratios with their spread, tables and a picture.

A measurement is a dict, as JSON holds it: how it was made, and its ``series``. A series
has the values of one system in one case, one a round; values of the same round were
measured one right after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from rich.markup import escape
from rich.table import Table

from ner_lstm_component.evaluation.pictures import BLUE, GREEN, GREY, ORANGE
from result_pages import markdown

Measurement = Mapping[str, Any]
Series = Mapping[str, Any]
# Colour and marker of each system.
Styles = Mapping[str, tuple[str, str]]

# In the order in which they stand on the page, with their titles.
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
# The ratio of these says how many times as fast the first is; that of all other units, how
# many times as much it takes.
_RATES = ("words/s", "tokens/s", "sentences/s")
_TIMES = ("ms",)
_STYLES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (GREY, "^"))


class Spread(NamedTuple):
    """The median of some values, and the least and the greatest."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """How some rounds' values lie."""
    return Spread(float(np.median(values)), float(min(values)), float(max(values)))


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Round by round, one series through the other."""
    return [one / other for one, other in zip(values, others, strict=True)]


def gains(unit: str, values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Round by round, how many times as fast values are; of costs, how many times as much."""
    return ratios(others, values) if unit in _TIMES else ratios(values, others)


def _meaning(unit: str) -> str:
    return " as fast" if unit in (*_RATES, *_TIMES) else " as much"


def table_of(measurement: Measurement) -> list[tuple[str, ...]]:
    """All that was measured, the first row being the head."""
    build = _by_case if measurement["compare"] == "systems" else _by_system
    return build(measurement["series"])


def _by_case(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """A row a case: each system's value, and the first system against each other."""
    systems = list(dict.fromkeys(one["system"] for one in series))
    first, *others = systems
    head = ("", "unit", *systems, *(f"{first} against {other}" for other in others))
    table: list[tuple[str, ...]] = [head]
    for case, unit in dict.fromkeys((one["case"], one["unit"]) for one in series):
        found = {
            one["system"]: one["values"]
            for one in series
            if (one["case"], one["unit"]) == (case, unit)
        }
        cells = [_value(found[system]) if system in found else "" for system in systems]
        cells += [
            _ratio(gains(unit, found[first], found[other]), _meaning(unit))
            if first in found and other in found
            else ""
            for other in others
        ]
        table.append((case, unit, *cells))
    return table


def _by_system(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """A row a system and case, against the system's first case of that unit."""
    table: list[tuple[str, ...]] = [("system", "", "unit", "value", "of the first")]
    first: dict[tuple[str, str], Sequence[float]] = {}
    for one in series:
        base = first.setdefault((one["system"], one["unit"]), one["values"])
        # Memory beyond a short Doc is noise about zero.
        times = "" if one["unit"] == "MB" else _ratio(ratios(one["values"], base))
        table.append((one["system"], one["case"], one["unit"], _value(one["values"]), times))
    return table


def _value(values: Sequence[float]) -> str:
    median, least, greatest = spread(values)
    if len(values) == 1:
        return _number(median)
    return f"{_number(median)} ({_number(least)}–{_number(greatest)})"


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _ratio(values: Sequence[float], meaning: str = "") -> str:
    median, least, greatest = spread(values)
    if len(values) == 1:
        return f"{median:.2f}×{meaning}"
    return f"{median:.2f}×{meaning} ({least:.2f}–{greatest:.2f})"


def rich_table(name: str, measurement: Measurement) -> Table:
    """The table for a terminal."""
    head, *body = table_of(measurement)
    title = f"{TITLES[name]}; {_how(measurement)}"
    table = Table(title=escape(title), title_justify="left")
    for column in head:
        table.add_column(escape(column), justify="left" if column in ("", "system") else "right")
    for row in body:
        table.add_row(*map(escape, row))
    return table


def _how(measurement: Measurement) -> str:
    rounds, threads = measurement["rounds"], measurement["threads"]
    time = "processor time" if measurement["clock"] == "cpu" else "wall time"
    return f"rounds: {rounds}, threads: {threads}, {time}"


def page_text(measurement: Measurement | None) -> str:
    """What stands on the page of a measurement: the table, and how it was made."""
    if measurement is None:
        return "Not measured yet.\n"
    about = (
        f"`{measurement['command']}` on commit {measurement['commit']}; {_how(measurement)}; "
        f"load of the machine before: {measurement['machine']['load']:.1f}."
    )
    notes = "".join(f"\n{note}\n" for note in measurement["notes"])
    return f"{markdown(table_of(measurement))}{notes}\n{about}\n"


def machine_text(results: Mapping[str, Measurement]) -> str:
    """What was measured on, each machine and set of versions once."""
    machines = []
    for measurement in results.values():
        machine = measurement["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        machines.append(f"{machine['processor']}, {machine['cores']} cores; {versions}.\n")
    return "\n".join(dict.fromkeys(machines))


# ---------------------------------------------------------------- the picture


def draw(results: Mapping[str, Measurement], path: Path) -> None:
    """Draw what was measured of the speed of tagging, training, and its growth."""
    panels = [
        (name, panel)
        for name, panel in (
            ("pipe", _draw_pipe),
            ("single", _draw_bars),
            ("train", _draw_bars),
            ("length", _draw_length),
        )
        if name in results
    ]
    # A system looks the same everywhere.
    systems = dict.fromkeys(one["system"] for name, _ in panels for one in results[name]["series"])
    styles = dict(zip(systems, cycle(_STYLES), strict=False))
    rows = max(1, -(-len(panels) // 2))
    figure = Figure(figsize=(11, 4.2 * rows), layout="constrained")
    for place, (name, panel) in enumerate(panels):
        axes = figure.add_subplot(rows, min(2, len(panels)), place + 1)
        axes.set_title(TITLES[name], loc="left", fontsize=11)
        panel(axes, results[name]["series"], styles)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def _draw_pipe(axes: Axes, series: Sequence[Series], styles: Styles) -> None:
    cases = list(dict.fromkeys(one["case"] for one in series))
    _draw_lines(axes, series, [cases.index(one["case"]) for one in series], styles)
    axes.set_xticks(range(len(cases)), [case.split()[-1] for case in cases])
    axes.set_xlabel("texts in a batch")
    axes.set_ylabel("words/s")
    axes.set_ylim(bottom=0)


def _draw_length(axes: Axes, series: Sequence[Series], styles: Styles) -> None:
    chosen = [one for one in series if one["unit"] == "µs/token"]
    lengths = [int(one["case"].split()[0].replace(",", "")) for one in chosen]
    _draw_lines(axes, chosen, lengths, styles)
    axes.set_xscale("log")
    axes.set_xlabel("tokens")
    axes.set_ylabel("µs/token")
    axes.set_ylim(bottom=0)


def _draw_lines(
    axes: Axes, series: Sequence[Series], positions: Sequence[int], styles: Styles
) -> None:
    """A line a system: the median of the rounds, and from the least to the greatest."""
    for system in dict.fromkeys(one["system"] for one in series):
        color, marker = styles[system]
        points = [
            (position, *spread(one["values"]))
            for position, one in zip(positions, series, strict=True)
            if one["system"] == system
        ]
        x, middle, least, greatest = np.array(points).T
        whiskers = [middle - least, greatest - middle]
        axes.errorbar(x, middle, whiskers, color=color, marker=marker, capsize=3, label=system)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.legend(frameon=False)


def _draw_bars(axes: Axes, series: Sequence[Series], styles: Styles) -> None:
    """A bar a system and case, the unit of the first being that of all."""
    chosen = [one for one in series if one["unit"] == series[0]["unit"]]
    names, middles, whiskers, colors = [], [], [], []
    for one in chosen:
        median, least, greatest = spread(one["values"])
        names.append(f"{one['system']}\n{one['case']}".strip())
        middles.append(median)
        whiskers.append((median - least, greatest - median))
        colors.append(styles[one["system"]][0])
    places = range(len(chosen))
    axes.barh(places, middles, xerr=np.array(whiskers).T, color=colors, capsize=3)
    axes.bar_label(axes.containers[-1], [f"  {_number(m)}" for m in middles], padding=6)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlabel(series[0]["unit"])
    axes.margins(x=0.2)
