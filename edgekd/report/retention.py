"""What each form of the student kept of the teacher: a table, and the loss per class as a plot."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.figures import CONTROL, TITLES, title
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.results import RetentionFigures, Summary

MOST_CLASSES = 12
"""Classes that the plot shows: those that lost most at the end."""


@dataclass(frozen=True)
class RetentionRow:
    """One form of the student as text."""

    stage: str
    """Whose colour the row has."""
    name: str
    control: bool
    precision: str
    score: str
    interval: str
    retention: str
    agreement: str
    agreement_interval: str
    divergence: str
    ece: str
    worst: str
    """The class that lost most against the teacher, and how much."""


@dataclass(frozen=True)
class RetentionSection:
    """What the template shows."""

    rows: list[RetentionRow]
    of_classes: bool
    """Whether there are probabilities: divergence and calibration."""
    unit: str
    """What a class is judged by: recall, or F1 of a label."""
    plot: Markup | None
    left_out: int
    """Classes that the plot does not show."""


def retention_section(summary: Summary, labels: tuple[str, ...]) -> RetentionSection | None:
    """The section of the first seed; None of a run that made no student."""
    found = [row for row in summary.retention if row.seed == summary.seed]
    teacher = next((row for row in found if row.stage == "teacher"), None)
    if teacher is None or len(found) < 2:
        return None
    arm = [row for row in found if not row.stage.startswith(CONTROL)]
    control = [row for row in found if row.stage.startswith(CONTROL)]
    students = arm[1:]
    names = labels or tuple(str(i) for i in range(len(teacher.per_class)))
    shown = _lost_most(teacher, students)
    return RetentionSection(
        rows=[_row(row, teacher, names) for row in arm + control],
        of_classes=teacher.ece is not None,
        unit="F1" if teacher.score.metric == "macro_f1" else "recall",
        plot=_plot(teacher, students, names, shown) if shown else None,
        left_out=sum(value is not None for value in teacher.per_class) - len(shown),
    )


def changes(teacher: RetentionFigures, row: RetentionFigures) -> list[tuple[float, int]]:
    """What each class that has test samples changed by against the teacher, the worst first."""
    pairs = zip(row.per_class, teacher.per_class, strict=True)
    known = [(a - b, i) for i, (a, b) in enumerate(pairs) if a is not None and b is not None]
    return sorted(known)


def _lost_most(teacher: RetentionFigures, students: list[RetentionFigures]) -> list[int]:
    """Of the classes that any form lost, those that lost most in one, by the last form's loss."""
    worst: dict[int, float] = {}
    for row in students:
        for change, index in changes(teacher, row):
            worst[index] = min(worst.get(index, 0.0), change)
    lost = sorted((change, index) for index, change in worst.items() if change < 0)
    kept = {index for _, index in lost[:MOST_CLASSES]}
    return [index for _, index in changes(teacher, students[-1]) if index in kept]


def _row(row: RetentionFigures, teacher: RetentionFigures, names: tuple[str, ...]) -> RetentionRow:
    stage = row.stage.removeprefix(CONTROL)
    is_teacher = row is teacher
    change = changes(teacher, row)
    lost = bool(change) and change[0][0] < 0 and not is_teacher
    return RetentionRow(
        stage=stage,
        name=title(row.stage),
        control=row.stage.startswith(CONTROL),
        precision=row.precision,
        score=units.score(row.score.value, row.score.metric),
        interval=units.score_range(row.score),
        retention="" if is_teacher else units.percent(row.retention),
        agreement="" if is_teacher else units.percent(row.agreement),
        agreement_interval=""
        if is_teacher or row.agreement_low is None or row.agreement_high is None
        else units.interval(row.agreement_low, row.agreement_high),
        divergence="" if is_teacher or row.divergence is None else f"{row.divergence:.3f}",
        ece=units.percent(row.ece) if row.ece is not None else "",
        worst=f"{names[change[0][1]]}: {units.points(change[0][0])}" if lost else "",
    )


def _plot(
    teacher: RetentionFigures,
    students: list[RetentionFigures],
    names: tuple[str, ...],
    shown: list[int],
) -> Markup:
    """A line of dots a class, a dot a form of the student, in points from the teacher's."""
    with style():
        figure = new_figure(560, 92 + 26 * len(shown))
        axes = figure.subplots()
        axes.axvline(0, color=COLOURS["teacher"], linewidth=1.4, linestyle=(0, (4, 3)))
        offset = 0.5 / max(1, len(students))
        for number, row in enumerate(students):
            change = {index: value for value, index in changes(teacher, row)}
            places = [y + (number - (len(students) - 1) / 2) * offset for y in range(len(shown))]
            int8 = row.precision == "int8"
            axes.scatter(
                [100 * change.get(index, 0.0) for index in shown], places, 55,
                color=COLOURS.get(row.stage, COLOURS["ink"]),
                marker="o" if int8 or row.stage != "quantize" else "D",
                edgecolors=COLOURS["paper"], linewidths=0.8, zorder=3,
                label=_legend(row, students),
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [_short(names[index]) for index in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        unit = "F1" if teacher.score.metric == "macro_f1" else "recall"
        axes.set_xlabel(f"{unit}, points from the teacher's")
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, handletextpad=0.1,
            columnspacing=1.2,
        )  # fmt: skip
        last = {index: value for value, index in changes(teacher, students[-1])}
        spoken = "; ".join(f"{names[i]} {units.points(last.get(i, 0.0))}" for i in shown)
        return to_svg(figure, "per-class", f"{unit} of each class at the end, in points: {spoken}")


def _legend(row: RetentionFigures, students: list[RetentionFigures]) -> str:
    name = TITLES.get(row.stage, row.stage)
    twice = sum(other.stage == row.stage for other in students) > 1
    return f"{name}, {row.precision}" if twice else name


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
