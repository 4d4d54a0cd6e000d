"""What the teacher brought, against the control arm: in sentences, a table and a plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.figures import TITLES
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.results import GainFigures, Summary
from edgekd.tasks import names

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class GainSection:
    """What the template shows."""

    rows: list[GainRow]
    plot: Markup
    over: str
    """What the intervals are over, in words."""


@dataclass(frozen=True)
class GainRow:
    """One form of the student, with and without the teacher."""

    stage: str
    name: str
    student: str
    control: str
    gain: str
    interval: str
    verdict: str
    """gain, loss or none."""


def rows_of(summary: Summary) -> list[GainFigures]:
    """Over the seeds where there are several, else of the one seed."""
    over = [row for row in summary.gain if row.seed is None]
    return over or [row for row in summary.gain if row.seed == summary.seed]


def told(summary: Summary) -> list[GainFigures]:
    """The last form in float and, if there is one, the last in int8."""
    rows = rows_of(summary)
    last = {row.precision: row for row in rows}
    return [last[precision] for precision in ("float32", "int8") if precision in last]


def sentence(row: GainFigures) -> str:
    """Such as "Gain by the teacher, int8: +0.8 points (+0.1 to +1.6 over 3 seeds)"."""
    head = {
        "gain": "Gain by the teacher",
        "loss": "Worse with the teacher",
        "none": "No gain shown",
    }
    form = "float" if row.precision == "float32" else row.precision
    change = units.score_change(row.gain, row.metric)
    return f"{head[row.verdict]}, {form}: {change} ({_range(row)}{_over(row)})"


def _range(row: GainFigures) -> str:
    low, high = (units.score_difference(end, row.metric) for end in (row.low, row.high))
    return f"{low} to {high}"


def _over(row: GainFigures) -> str:
    if row.over == "seeds":
        return f" over {row.n} seeds"
    return f" by {row.n:,} test samples"


def gain_section(summary: Summary) -> GainSection | None:
    """None in a run without a control arm."""
    rows = rows_of(summary)
    if not rows:
        return None
    over = (
        f"over {rows[0].n} seeds, each student paired with the control of its seed"
        if rows[0].over == "seeds"
        else "paired by test sample: they are about other samples, not about other seeds"
    )
    return GainSection([_row(row) for row in rows], _plot(rows), over)


def _name(row: GainFigures) -> str:
    return f"{TITLES.get(row.stage, row.stage)}, {row.precision}"


def _row(row: GainFigures) -> GainRow:
    return GainRow(
        stage=row.stage,
        name=_name(row),
        student=units.score(row.student, row.metric, 2),
        control=units.score(row.control, row.metric, 2),
        gain=units.score_difference(row.gain, row.metric),
        interval=_range(row),
        verdict=row.verdict,
    )


def _plot(rows: list[GainFigures]) -> Markup:
    """Each gain as a point with its interval, and a line at 0."""
    factor = 100.0 if names.is_share(rows[0].metric) else 1.0
    with style():
        figure = new_figure(520, 62 + 34 * len(rows))
        axes = figure.subplots()
        axes.axvline(0, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        for place, row in enumerate(rows):
            _point(axes, place, row, factor)
        axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        unit = "points" if factor == 100 else "difference"
        axes.set_xlabel(f"{names.title(rows[0].metric)} with the teacher less without, {unit}")
        spoken = "; ".join(f"{_name(row)} {sentence(row)}" for row in rows)
        return to_svg(figure, "gain", f"Gain by the teacher: {spoken}")


def _point(axes: Axes, place: int, row: GainFigures, factor: float) -> None:
    colour = COLOURS.get(row.stage, COLOURS["ink"])
    axes.plot(
        [factor * row.low, factor * row.high], [place, place], color=colour, linewidth=2.2,
        solid_capstyle="butt",
    )  # fmt: skip
    hollow = row.verdict == "none"
    axes.scatter(
        factor * row.gain, place, 55, color=COLOURS["paper"] if hollow else colour,
        edgecolors=colour, linewidths=1.8, zorder=3, marker="o",
    )  # fmt: skip
