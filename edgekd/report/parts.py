"""The page's plots of the parts that a training's loss is the sum of."""

from __future__ import annotations

import math

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.figures import base, title
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.train.history import EpochRecord

LINES = [COLOURS[name] for name in ("muted", "distill", "prune", "quantize", "teacher", "finetune")]
WEIGHT = " weight"
"""Ends the name of a method's weight, where that changes."""
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), "-.")


def loss_parts(histories: dict[str, list[EpochRecord]]) -> list[Markup]:
    """One small plot for each stage whose loss has several parts: their values, before their
    weights, on a logarithmic axis where all are positive; of several seeds, the first."""
    stages: dict[str, list[EpochRecord]] = {}
    for node, history in histories.items():
        if history and len(history[-1].parts) > 1:
            stages.setdefault(base(node), history)
    return [_parts(stage, history) for stage, history in stages.items()]


def _parts(stage: str, history: list[EpochRecord]) -> Markup:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    every = {name: [record.parts.get(name, math.nan) for record in history]
             for name in history[-1].parts}  # fmt: skip
    lines = {name: values for name, values in every.items() if not name.endswith(WEIGHT)}
    weights = {name: values for name, values in every.items() if name.endswith(WEIGHT)}
    with style():
        figure = new_figure(300, 320 if weights else 220)
        axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2)) if weights else None
        axes, below = (figure.subplots(), None) if axes is None else axes
        epochs = [record.epoch for record in history]
        for index, (name, values) in enumerate(lines.items()):
            dashes, colour = DASHES[index % len(DASHES)], LINES[index % len(LINES)]
            marker = "o" if len(epochs) == 1 else ""
            axes.plot(epochs, values, marker=marker, linestyle=dashes, color=colour, label=name)
        if all(value > 0 for values in lines.values() for value in values):
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlim(1, max(2, epochs[-1]))
        axes.set_title(title(stage))
        axes.set_ylabel("loss, by part")
        if below is not None:
            for name, values in weights.items():
                place = list(lines).index(name.removesuffix(WEIGHT))
                dashes, colour = DASHES[place % len(DASHES)], LINES[place % len(LINES)]
                below.plot(epochs, values, linestyle=dashes, color=colour)
            below.set_ylim(bottom=0)
            below.set_ylabel("weight")
            below.yaxis.set_major_locator(MaxNLocator(3))
        (axes if below is None else below).set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axes.legend(frameon=False)
        last = ", ".join(f"{name} {units.significant(v[-1])}" for name, v in every.items())
        return to_svg(figure, f"parts-{stage}", f"{title(stage)}: the loss ends at {last}")
