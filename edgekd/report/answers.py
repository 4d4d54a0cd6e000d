"""Answers of teacher and student on the test set, where they are no single classes: labels one by
one, and a regression's numbers against the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from edgekd.report import units
from edgekd.report.metric_rows import intervals_of
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.tasks.bootstrap import ranked
from edgekd.tasks.names import shown

MOST_POINTS = 400
"""Samples drawn in a scatter plot."""
MOST_TARGETS = 6
"""Targets that are drawn; the metrics' table has all of them."""


@dataclass(frozen=True)
class LabelRow:
    """How one label of several fares on the test set; counts of samples, and scores as text."""

    label: str
    positive: int
    """Samples that have it."""
    teacher_f1: str
    student_f1: str
    interval: str
    """95 % interval of the student's F1."""
    difference: str
    worse: bool
    """Whether the student's F1 is a point or more below the teacher's."""
    precision: str
    recall: str
    area: str
    """ROC AUC of the student."""


def label_rows(
    outputs: Mapping[str, NDArray[Any]], y: NDArray[Any], labels: tuple[str, ...]
) -> list[LabelRow]:
    """A row a label, those that the student lost most first.

    Args:
        outputs: logits (N, L) of "student" and, if there is one, "teacher".
        y: (N, L), 0 and 1.
    """
    student = outputs["student"]
    teacher = outputs.get("teacher")
    rows = []
    for number, label in enumerate(labels):
        own = _counts(student[:, number], y[:, number])
        before = None if teacher is None else _counts(teacher[:, number], y[:, number])
        change = own.f1 - before.f1 if before else 0.0
        area, _ = ranked(student[:, number], y[:, number] > 0, np.ones((1, len(y))))
        low, high = intervals_of(student[:, number], y[:, number])
        rows.append(
            (
                change,
                LabelRow(
                    label=label,
                    positive=int((y[:, number] > 0).sum()),
                    teacher_f1=units.percent(before.f1) if before else units.NONE,
                    student_f1=units.percent(own.f1),
                    interval=units.interval(low, high) if np.isfinite(low) else units.NONE,
                    difference=units.points(change) if before else "",
                    worse=change <= -0.01,
                    precision=units.percent(own.precision),
                    recall=units.percent(own.recall),
                    area=units.score(float(area[0]), "roc_auc"),
                ),
            )
        )
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


@dataclass(frozen=True)
class _Counts:
    hits: int
    given: int
    true: int

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(1, self.given + self.true)

    @property
    def precision(self) -> float | None:
        return self.hits / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        return self.hits / self.true if self.true else None


def _counts(logits: NDArray[Any], y: NDArray[Any]) -> _Counts:
    given, true = logits > 0, y > 0
    return _Counts(int((given & true).sum()), int(given.sum()), int(true.sum()))


@dataclass(frozen=True)
class Scatter:
    """A drawn target."""

    title: str
    svg: Markup
    left_out: int
    """Samples that are not drawn."""


def scatters(
    answers: Mapping[str, NDArray[Any]], y: NDArray[Any], labels: tuple[str, ...]
) -> list[Scatter]:
    """Predicted against true values, a plot for each target and network, on one scale a target.

    Args:
        answers: (N, T) in raw units, of "teacher" and "student".
        y: (N, T) in raw units.
    """
    drawn = []
    index = np.unique(np.linspace(0, len(y) - 1, min(len(y), MOST_POINTS)).round().astype(int))
    for number, label in enumerate(labels[:MOST_TARGETS]):
        columns = [answer[:, number] for answer in answers.values()]
        every = np.concatenate([y[:, number], *columns])
        low, high = float(every.min()), float(every.max())
        room = 0.04 * (high - low) or 1.0
        for role, column in zip(answers, columns, strict=True):
            title = f"{role.capitalize()}: {label}" if len(labels) > 1 else role.capitalize()
            svg = _scatter(
                y[:, number], column, index, (low - room, high + room), f"{role}-{number}", label
            )
            drawn.append(Scatter(title, svg, len(y) - len(index)))
    return drawn


def _scatter(
    true: NDArray[Any],
    given: NDArray[Any],
    index: NDArray[np.intp],
    limits: tuple[float, float],
    name: str,
    label: str,
) -> Markup:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    role = name.partition("-")[0]
    colour = COLOURS["teacher"] if role == "teacher" else COLOURS["quantize"]
    error = np.abs(given - true)
    with style():
        figure = new_figure(330, 320)
        axes = figure.subplots()
        axes.plot(limits, limits, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        axes.scatter(true[index], given[index], 18, color=colour, alpha=0.45, linewidths=0)
        axes.set_xlim(limits)
        axes.set_ylim(limits)
        axes.set_aspect("equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axes.set_xlabel(f"true {label}")
        axes.set_ylabel(f"predicted {label}")
        spread = float(((true - true.mean()) ** 2).sum())
        r2 = shown(1 - float((error**2).sum()) / spread, "r2") if spread else units.NONE
        text = (
            f"{role}: predicted against true {label} of {len(true)} test samples, "
            f"R² {r2}, mean absolute error {units.significant(float(error.mean()))}"
        )
        return to_svg(figure, f"scatter-{name}", text)


def _tick(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")
