"""The page's section on calibration and robustness: three files side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.results import QualityFigures, Summary
from edgekd.statistics import wilson_interval
from edgekd.tasks.names import is_share, shown, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOUR_OF = {
    ("teacher", "float32"): "teacher",
    ("student", "float32"): "distill",
    ("student", "int8"): "quantize",
}
"""The theme's colour of each file."""
DASHES = {"teacher": (0, (4, 2)), "distill": (0, (1.5, 1.5)), "quantize": "solid"}
MARKERS = {"teacher": "s", "distill": "D", "quantize": "o"}
SHIFTS = {
    "noise": "Noise",
    "blur": "Blur",
    "brightness": "Brightness",
    "contrast": "Contrast lost",
    "gain": "Gain",
}


@dataclass(frozen=True)
class QualitySection:
    """What the template shows."""

    files: list[QualityFigures]
    """Teacher, float32 student, int8 student, of the first seed, as far as they exist."""
    score: str
    """The headline score's title."""
    reliability: list[Markup]
    robustness: list[Markup]


def quality_section(summary: Summary) -> QualitySection | None:
    """The section of the run's first seed; None without such figures."""
    files = of_first_seed(summary)
    if not files:
        return None
    return QualitySection(
        files=files,
        score=title(files[0].clean.metric),
        reliability=[_reliability(file) for file in files if file.calibration is not None],
        robustness=_robustness(files),
    )


def of_first_seed(summary: Summary) -> list[QualityFigures]:
    """Teacher, float32 student and int8 student, as far as they were looked at."""
    found = {(q.stage, q.precision): q for q in summary.quality if q.seed == summary.seed}
    return [found[key] for key in COLOUR_OF if key in found]


def name_of(file: QualityFigures) -> str:
    """Such as "Student, int8"."""
    return "Teacher" if file.stage == "teacher" else f"Student, {file.precision}"


def colour_name(file: QualityFigures) -> str:
    """The theme's colour of a file."""
    return COLOUR_OF[file.stage, file.precision]


def _reliability(file: QualityFigures) -> Markup:
    """Accuracy against confidence with intervals, over the histogram of the confidences."""
    from matplotlib.ticker import FuncFormatter

    found = file.calibration
    assert found is not None
    colour = COLOURS[colour_name(file)]
    with style():
        figure = new_figure(300, 330)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 100], [0, 100], color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        for b in found.bins:
            low, high = wilson_interval(round(b.n * b.accuracy), b.n)
            upper.plot(
                [100 * b.confidence] * 2, [100 * low, 100 * high], color=colour, linewidth=1.2
            )
        upper.scatter(
            [100 * b.confidence for b in found.bins],
            [100 * b.accuracy for b in found.bins],
            [25 + 200 * b.n / found.n for b in found.bins],
            color=colour,
            marker=MARKERS[colour_name(file)],
            edgecolors=COLOURS["paper"],
            linewidths=0.8,
            zorder=3,
        )
        upper.set_xlim(0, 103)
        upper.set_ylim(0, 104)
        upper.set_title(name_of(file))
        upper.set_ylabel("right")
        lower.bar(
            [50 * (b.low + b.high) for b in found.bins],
            [100 * b.n / found.n for b in found.bins],
            width=[94 * (b.high - b.low) for b in found.bins],
            color=colour,
            alpha=0.6,
        )
        lower.set_ylim(0, 100)
        lower.set_yticks([0, 50, 100])
        lower.set_ylabel("answers")
        lower.set_xlabel("confidence")
        for axes in (upper, lower):
            axes.xaxis.set_major_formatter(FuncFormatter(_percent))
            axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        figure.align_ylabels()
        label = (
            f"Reliability of {name_of(file)}: mean confidence {units.percent(found.confidence)}, "
            f"{units.percent(found.accuracy)} right, calibration error "
            f"{units.percent(found.ece.value)}"
        )
        return to_svg(figure, f"reliability-{file.stage}-{file.precision}", label)


def _percent(value: float, _: object) -> str:
    return f"{value:g} %"


def _robustness(files: Sequence[QualityFigures]) -> list[Markup]:
    """One small plot a shift, a line a file; all share the axis of the score."""
    kinds = list(dict.fromkeys((row.shift, row.unit) for row in files[0].shifts))
    lows = [row.score.low for file in files for row in file.shifts]
    low = max(-1.0, min([*lows, 1.0]))
    return [_shift_plot(files, kind, low) for kind in kinds]


def _shift_plot(files: Sequence[QualityFigures], kind: tuple[str, str], low: float) -> Markup:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    metric = files[0].clean.metric
    factor = 100 if is_share(metric) else 1
    rows = [row for row in files[0].shifts if (row.shift, row.unit) == kind]
    before = [index for index, row in enumerate(rows) if row.severity < 0 and row.unit != "dB SNR"]
    order: list[int | None] = [*before, None, *(i for i in range(len(rows)) if i not in before)]
    with style():
        figure = new_figure(300, 250)
        axes = figure.subplots()
        for file in files:
            ours = [row for row in file.shifts if (row.shift, row.unit) == kind]
            scores = [file.clean if i is None else ours[i].score for i in order]
            _line(axes, file, [(factor * s.value, factor * s.low, factor * s.high) for s in scores])
        axes.set_xticks(
            range(len(order)), ["clean" if i is None else rows[i].extent for i in order]
        )
        axes.set_xlim(-0.2, len(order) - 0.8)
        axes.set_ylim(factor * (low - 0.04 * (1 - low)), factor * (1 + 0.04 * (1 - low)))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}{' %' if factor == 100 else ''}")
        )
        axes.set_title(SHIFTS.get(kind[0], kind[0]))
        axes.set_ylabel(title(metric))
        axes.set_xlabel("signal to noise" if kind[1] == "dB SNR" else "")
        spoken = "; ".join(
            f"{name_of(file)} "
            + ", ".join(
                f"{row.extent}: {shown(row.score.value, metric)}"
                for row in file.shifts
                if (row.shift, row.unit) == kind
            )
            for file in files
        )
        slug = "-".join(kind).replace(" ", "-")
        return to_svg(figure, f"shift-{slug}", f"{title(metric)} under {kind[0]}: {spoken}")


def _line(axes: Axes, file: QualityFigures, points: list[tuple[float, float, float]]) -> None:
    name = colour_name(file)
    values, lows, highs = zip(*points, strict=True)
    places = list(range(len(points)))
    axes.fill_between(places, lows, highs, color=COLOURS[name], alpha=0.12, linewidth=0)
    axes.plot(
        places,
        values,
        color=COLOURS[name],
        linestyle=DASHES[name],
        marker=MARKERS[name],
        markersize=4.5,
        linewidth=1.8,
    )
