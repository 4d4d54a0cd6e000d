"""The page's plots: training curves, and what accuracy costs in time and bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.figures import CONTROL, base, title
from edgekd.report.marks import Mark, label_marks
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.results import Accuracy
from edgekd.tasks import names
from edgekd.train.history import EpochRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = ("o", "s", "D", "^")


def colour(stage: str) -> str:
    """The stage's colour, the same in every plot."""
    return COLOURS.get(base(stage), COLOURS["ink"])


def training_curves(
    histories: dict[str, list[EpochRecord]], metric: str = "accuracy"
) -> list[Markup]:
    """One small plot a stage: validation score over training loss; one line a seed, and a dotted
    one of the control arm, whose loss is of another kind and left out.

    All share the score's axis. It starts where the slowest training is after half of its
    epochs, as from 0 the end, where stages differ by a point, would be a flat line.
    """
    stages: dict[str, list[list[EpochRecord]]] = {}
    for node, history in histories.items():
        if history and not node.startswith(CONTROL):
            stages.setdefault(base(node), []).append(history)
    controls = {
        base(node).removeprefix(CONTROL): history
        for node, history in reversed(histories.items())
        if node.startswith(CONTROL)
    }
    if not stages:
        return []
    settled = [
        record.validation_accuracy
        for runs in stages.values()
        for history in runs
        for record in history[len(history) // 2 :]
    ]
    low = max(0.0, min(settled) - 0.01) if max(settled) > 0 else min(settled) - 0.01
    best = (
        max(r.validation_accuracy for h in stages.get("teacher", []) for r in h)
        if ("teacher" in stages)
        else None
    )
    high = 1.0 if metric == "accuracy" else max(settled)
    high = high if high > low else 1.0
    return [
        _curves(stage, runs, low, high, best, metric, controls.get(stage, []))
        for stage, runs in stages.items()
    ]


def best_at_cost(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """From cheap to dear, those (cost, score) that are better than every cheaper one."""
    kept: list[tuple[float, float]] = []
    for at, score in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or score > kept[-1][1]:
            kept.append((at, score))
    return kept


def score_scale(metric: str) -> tuple[float, str]:
    """What a score is drawn times, and what stands behind it on the axis."""
    return (100.0, " %") if names.is_share(metric) else (1.0, "")


def _curves(
    stage: str,
    runs: list[list[EpochRecord]],
    low: float,
    high: float,
    teacher: float | None,
    metric: str,
    control: list[EpochRecord],
) -> Markup:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    factor, sign = score_scale(metric)
    with style():
        figure = new_figure(300, 280)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for index, history in enumerate(runs):
            epochs = [record.epoch for record in history]
            look = {"color": colour(stage), "alpha": 1.0 if index == 0 else 0.4}
            marker = "o" if len(epochs) == 1 else ""
            values = [factor * record.validation_accuracy for record in history]
            upper.plot(epochs, values, marker=marker, **look)
            lower.plot(epochs, [record.loss for record in history], marker=marker, **look)
        top = factor * (high + 0.04 * (high - low))
        if teacher is not None and stage != "teacher":
            upper.axhline(
                factor * teacher, color=colour("teacher"), linewidth=1.2, linestyle=(0, (4, 3))
            )
        if control:
            values = [factor * record.validation_accuracy for record in control]
            upper.plot(
                [record.epoch for record in control], values, color=COLOURS["muted"],
                linewidth=1.4, linestyle=(0, (1.2, 1.4)),
            )  # fmt: skip
        upper.set_xlim(1, max(2, *(history[-1].epoch for history in runs)))
        upper.set_ylim(factor * low, top)
        upper.set_title(title(stage))
        upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{sign}"))
        upper.yaxis.set_major_locator(MaxNLocator(4))
        upper.set_ylabel(names.title(metric))
        lower.set_ylim(bottom=0)
        lower.set_ylabel("loss")
        lower.set_xlabel("epoch")
        lower.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        lower.yaxis.set_major_locator(MaxNLocator(3))
        figure.align_ylabels()
        last = runs[0][-1]
        label = (
            f"{title(stage)}: {len(runs[0])} epochs, validation {names.title(metric)} ends at "
            f"{units.score(last.validation_accuracy, metric)}, "
            f"loss at {units.significant(last.loss)}"
        )
        return to_svg(figure, f"curves-{_slug(stage)}", label)


@dataclass(frozen=True)
class Point:
    """A model in a plot of accuracy against a cost."""

    stage: str
    kind: str
    """What its marker says, such as "LiteRT"."""
    cost: float
    """Greater than 0."""
    accuracy: Accuracy
    weight: float
    """What the bubble's area says."""


def trade_off(points: list[Point], name: str, cost: str, unit: str) -> Markup:
    """Accuracy with its interval against a cost, both as labelled bubbles.

    Args:
        points: at least one.
        name: unique in the page.
        cost: the axis' title.
        unit: "us" or "bytes".
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    metric = points[0].accuracy.metric
    factor, sign = score_scale(metric)
    with style():
        figure = new_figure(400, 315)
        axes = figure.subplots()
        kinds = list(dict.fromkeys(point.kind for point in points))
        heaviest = max(point.weight for point in points)
        for point in points:
            _bubble(axes, point, MARKERS[kinds.index(point.kind) % len(MARKERS)], heaviest)
        costs = [point.cost for point in points]
        log_axis(axes, costs, unit)
        lows = [factor * point.accuracy.low for point in points]
        top = max(factor * point.accuracy.high for point in points)
        top = factor if metric == "accuracy" else top
        room = max(0.01 * factor, top - min(lows)) * 0.12
        axes.set_ylim(min(lows) - room, top + room)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{sign}"))
        axes.set_xlabel(cost)
        axes.set_ylabel(names.title(metric))
        _legend(axes, kinds)
        label_marks(axes, [_mark(point, heaviest) for point in points])
        spoken = "; ".join(
            f"{title(p.stage)} {p.kind} {units.quantity(p.cost, unit)} "
            f"{units.score(p.accuracy.value, metric)}"
            for p in points
        )
        score = names.title(metric)
        return to_svg(figure, name, f"{score[:1].upper() + score[1:]} against {cost}: {spoken}")


def log_axis(axes: Axes, costs: list[float], unit: str) -> None:
    """A logarithmic axis below, with some room around the costs, and ticks in `unit`."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    reach = max(1.6, (max(costs) / min(costs)) ** 0.18)
    axes.set_xlim(min(costs) / reach, max(costs) * reach)
    axes.xaxis.set_major_locator(LogLocator(subs=_subs(costs), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: units.quantity(x, unit)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _radius(weight: float, heaviest: float) -> float:
    return 5.0 + 11.0 * math.sqrt(weight / heaviest) if heaviest > 0 else 6.0


def _bubble(axes: Axes, point: Point, marker: str, heaviest: float) -> None:
    factor, _ = score_scale(point.accuracy.metric)
    y = factor * point.accuracy.value
    below, above = y - factor * point.accuracy.low, factor * point.accuracy.high - y
    axes.errorbar(
        point.cost,
        y,
        [[below], [above]],
        color=colour(point.stage),
        linewidth=1.2,
        capsize=3,
        zorder=2,
    )
    area = (2 * _radius(point.weight, heaviest)) ** 2
    axes.scatter(
        point.cost,
        y,
        area,
        color=colour(point.stage),
        marker=marker,
        alpha=0.75,
        edgecolors=COLOURS["paper"],
        linewidths=1,
        zorder=3,
    )


def _mark(point: Point, heaviest: float) -> Mark:
    factor, _ = score_scale(point.accuracy.metric)
    return Mark(
        text=title(point.stage),
        colour=colour(point.stage),
        x=point.cost,
        y=factor * point.accuracy.value,
        low=factor * point.accuracy.low,
        high=factor * point.accuracy.high,
        radius=_radius(point.weight, heaviest),
    )


def _subs(costs: list[float]) -> tuple[float, ...]:
    """Ticks of a decade: fewer, the more decades there are."""
    return (1.0, 2.0, 5.0) if max(costs) / min(costs) < 50 else (1.0, 3.0)


def _legend(axes: Axes, kinds: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=COLOURS["muted"], marker=MARKERS[i % len(MARKERS)], linestyle="", label=k
        )
        for i, k in enumerate(kinds)
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=len(kinds),
        handletextpad=0.1,
        columnspacing=1.2,
    )


def _slug(text: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text)
