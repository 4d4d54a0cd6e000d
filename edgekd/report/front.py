"""The students of a search: a table, and accuracy against latency and size with the front."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.marks import Mark, label_marks
from edgekd.report.plots import best_at_cost, log_axis, score_scale
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.results import CandidateFigures, Summary
from edgekd.tasks import names

RADIUS = 5.0
"""Pixels."""


@dataclass(frozen=True)
class CandidateRow:
    """One student, in words."""

    name: str
    score: str
    interval: str
    latency: str
    size: str
    parameters: str
    verdict: str
    """Student of this run, on the front, trained, or why it is out."""
    chosen: bool
    front: bool


@dataclass(frozen=True)
class FrontSection:
    """What the template shows."""

    rows: list[CandidateRow]
    plots: list[Markup]
    chosen: str


def front_section(summary: Summary) -> FrontSection | None:
    """The section; None of a run without a search."""
    if not summary.search:
        return None
    rows = [candidate_row(row) for row in in_order(summary)]
    trained = [row for row in summary.search if row.accuracy is not None]
    plots = []
    for name, cost, unit in (
        ("latency", "median latency", "us"),
        ("size", "size of the file", "bytes"),
    ):
        points = [(row, found) for row in trained if (found := _cost(row, unit)) is not None]
        if points:
            plots.append(_plot(points, f"front-{name}", cost, unit))
    chosen = next((row.candidate for row in summary.search if row.chosen), units.NONE)
    return FrontSection(rows, plots, chosen)


def in_order(summary: Summary) -> list[CandidateFigures]:
    """Trained ones first, the best on the test set at the head."""
    return sorted(
        summary.search,
        key=lambda row: (row.accuracy is None, -row.accuracy.value if row.accuracy else 0.0),
    )


def candidate_row(row: CandidateFigures) -> CandidateRow:
    """A candidate's cells; of one that was not trained, its untrained file's figures."""
    score = interval = units.NONE
    if row.accuracy is not None:
        score = units.score(row.accuracy.value, row.accuracy.metric)
        interval = units.score_range(row.accuracy)
    verdict = "on the front" if row.front else "trained"
    if row.chosen:
        verdict = "the student of this run" + ("" if row.front else ", not on the front")
    if not row.fits:
        verdict = "; ".join(row.reasons)
    elif row.accuracy is None:
        verdict = "fits"
    return CandidateRow(
        name=row.candidate,
        score=score,
        interval=interval,
        latency=units.microseconds(_cost(row, "us")),
        size=units.size(_cost(row, "bytes")),
        parameters=units.count(row.parameters),
        verdict=verdict,
        chosen=row.chosen,
        front=row.front,
    )


def _cost(row: CandidateFigures, unit: str) -> float | None:
    """Of the trained file where there is one."""
    if unit == "us":
        return row.trained_p50_us if row.trained_p50_us is not None else row.p50_us
    return row.trained_bytes if row.trained_bytes is not None else row.bytes


def _plot(points: list[tuple[CandidateFigures, float]], name: str, cost: str, unit: str) -> Markup:
    """Every trained student with its interval; a line joins those that are best at their cost."""
    scores = {row.candidate: row.accuracy for row, _ in points if row.accuracy is not None}
    metric = next(iter(scores.values())).metric
    factor, sign = score_scale(metric)
    with style():
        figure = new_figure(400, 315)
        axes = figure.subplots()
        marks = []
        for row, at in points:
            score = scores[row.candidate]
            y = factor * score.value
            colour = COLOURS["quantize"] if row.front else COLOURS["muted"]
            low, high = factor * score.low, factor * score.high
            axes.errorbar(
                at, y, [[y - low], [high - y]], color=colour, linewidth=1.2, capsize=3, zorder=2
            )
            size = 2 * RADIUS + (4 if row.chosen else 0)
            axes.plot(at, y, "D" if row.chosen else "o", color=colour, markersize=size, zorder=3)
            marks.append(Mark(row.candidate, colour, at, y, low, high, RADIUS))
        line = best_at_cost([(at, factor * scores[row.candidate].value) for row, at in points])
        axes.step(*zip(*line, strict=True), where="post", color=COLOURS["quantize"], zorder=1)
        log_axis(axes, [at for _, at in points], unit)
        axes.set_xlabel(cost)
        axes.set_ylabel(names.title(metric) + (f",{sign}" if sign else ""))
        label_marks(axes, marks)
        spoken = "; ".join(
            f"{row.candidate} {units.quantity(at, unit)} "
            f"{units.score(scores[row.candidate].value, metric)}"
            for row, at in points
        )
        title = names.title(metric)
        return to_svg(figure, name, f"{title[:1].upper() + title[1:]} against {cost}: {spoken}")
