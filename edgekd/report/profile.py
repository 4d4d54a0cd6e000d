"""The page's section on where an inference's time goes: operators, runtime by runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.figures import RUNTIMES
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.results import BenchFigures, OperatorFigures, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 24
"""Operators in a plot: of more, those that take longest."""
ROW, AROUND = 17, 70
"""Height of an operator in the plot, and of what is around them, in pixels."""
NAME = 34
"""Letters of an operator's name: of a longer one the end tells more."""
HEAVY = 0.1
"""Share of the time from which an operator is marked."""


@dataclass(frozen=True)
class FileProfile:
    """A file in its runtime."""

    title: str
    """Such as "LiteRT, int8, on local"."""
    plot: Markup | None
    told: str
    """Which kinds of operators take the time, and what is not drawn, in words."""
    note: str
    """Why there is no plot."""


def profile_section(summary: Summary) -> list[FileProfile]:
    """The files of the first seed's student whose operators were timed; empty without any."""
    asked = [
        row for row in summary.bench
        if row.seed == summary.seed and (row.profile or row.profile_note)
    ]  # fmt: skip
    return [_file(row, number) for number, row in enumerate(asked)]


def _file(row: BenchFigures, number: int) -> FileProfile:
    runtime = RUNTIMES.get(row.runtime, row.runtime)
    title = f"{runtime}, {row.precision}, on {row.device}"
    if not row.profile:
        return FileProfile(title, None, "", row.profile_note)
    shares = of_types(row.profile)
    longest = max(row.profile, key=lambda operator: operator.us)
    label = (
        f"Time by operator in {title}: {len(row.profile)} operators; {longest.name} takes longest, "
        f"{units.microseconds(longest.us)}"
    )
    with style():
        plot = to_svg(draw(row.profile), f"profile-{number}", label)
    kinds = ", ".join(f"{name} {units.percent(share)}" for name, share in shares[:4])
    told = f"By kind: {kinds}."
    if len(row.profile) > SHOWN:
        told += f" Drawn are the {SHOWN} of {len(row.profile)} operators that take longest."
    return FileProfile(title, plot, told, "")


def of_types(operators: Sequence[OperatorFigures]) -> list[tuple[str, float]]:
    """Each kind of operator with its share of the time, the largest first."""
    total = sum(operator.us for operator in operators) or 1.0
    sums: dict[str, float] = {}
    for operator in operators:
        sums[operator.op] = sums.get(operator.op, 0.0) + operator.us
    return sorted(((op, us / total) for op, us in sums.items()), key=lambda pair: -pair[1])


def draw(operators: Sequence[OperatorFigures]) -> Figure:
    """A bar an operator, from the input down, with its share. Call it inside `style()`."""
    places = sorted(range(len(operators)), key=lambda i: -operators[i].us)[:SHOWN]
    few = [operators[i] for i in sorted(places)]
    total = sum(operator.us for operator in operators) or 1.0
    figure = new_figure(520, AROUND + ROW * len(few))
    axes = figure.subplots()
    shares = [operator.us / total for operator in few]
    colours = [COLOURS["prune" if share >= HEAVY else "quantize"] for share in shares]
    rows = list(range(len(few)))
    axes.barh(rows, [operator.us for operator in few], 0.64, color=colours)
    longest = max((operator.us for operator in few), default=1.0) or 1.0
    for place, (operator, share) in enumerate(zip(few, shares, strict=True)):
        axes.text(
            operator.us + 0.012 * longest, place, f"{share:.1%}", va="center", fontsize=9.5,
            color=COLOURS["muted"],
        )  # fmt: skip
    axes.set_xlim(0, 1.13 * longest)
    axes.set_ylim(len(few) - 0.4, -0.6)
    axes.set_yticks(rows, [short(operator.name) for operator in few])
    axes.set_xlabel("microseconds a call, and share of all")
    axes.grid(visible=False, axis="y")
    return figure


def short(name: str) -> str:
    """The end of a long name."""
    return name if len(name) <= NAME else f"…{name[1 - NAME :]}"
