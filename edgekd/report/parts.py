"""The page's plots of the parts that a training's loss is the sum of."""

from __future__ import annotations

import math

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.figures import base, title
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.train.history import EpochRecord

LINES = [COLOURS[name] for name in ("muted", "distill", "prune", "quantize", "teacher", "finetune")]
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
    from matplotlib.ticker import MaxNLocator

    lines = {name: [record.parts.get(name, math.nan) for record in history]
             for name in history[-1].parts}  # fmt: skip
    with style():
        figure = new_figure(300, 220)
        axes = figure.subplots()
        epochs = [record.epoch for record in history]
        for index, (name, values) in enumerate(lines.items()):
            dashes, colour = DASHES[index % len(DASHES)], LINES[index % len(LINES)]
            marker = "o" if len(epochs) == 1 else ""
            axes.plot(epochs, values, marker=marker, linestyle=dashes, color=colour, label=name)
        if all(value > 0 for values in lines.values() for value in values):
            axes.set_yscale("log")
        axes.set_xlim(1, max(2, epochs[-1]))
        axes.set_title(f"{title(stage)}: parts of the loss")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axes.legend(frameon=False)
        last = ", ".join(f"{name} {units.significant(v[-1])}" for name, v in lines.items())
        return to_svg(figure, f"parts-{stage}", f"{title(stage)}: the loss ends at {last}")
