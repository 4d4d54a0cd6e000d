"""The picture of ways to one size: the accuracy of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw(arms: dict[str, Any], name: str, path: Path) -> None:
    """Writes an SVG: a dot for the mean, a line for the 95 % interval, a tick for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 0.8 + 0.45 * len(arms)), layout="constrained")
    axes = figure.add_subplot()
    for place, arm in enumerate(reversed(arms.values())):
        test = arm["test"]
        values = [100 * value for value in test["values"]]
        axes.plot(values, [place] * len(values), "|", color="#8a8a8a", markersize=9)
        if len(values) > 1:
            axes.plot([100 * test["low"], 100 * test["high"]], [place] * 2, color="#2f5d8a", lw=2)
        axes.plot([100 * test["mean"]], [place], "o", color="#2f5d8a")
    axes.set_yticks(range(len(arms)), list(reversed(arms)))
    axes.set_ylim(-0.6, len(arms) - 0.4)
    axes.set_xlabel("test accuracy of the int8 file, %")
    size = max(size for arm in arms.values() for size in arm["bytes"])
    axes.set_title(f"{name}, files of {size / 1000:.0f} kB", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
