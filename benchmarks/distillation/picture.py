"""The picture of a comparison of methods: each one's difference from the student alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw(figures: dict[str, Any], name: str, path: Path) -> None:
    """Writes an SVG: a dot for the mean, a line for the 95 % interval, a tick for each seed."""
    from matplotlib.figure import Figure

    methods = [method for method, figure in figures.items() if figure["minus_alone"]]
    figure = Figure(figsize=(7, 0.8 + 0.4 * len(methods)), layout="constrained")
    axes = figure.add_subplot()
    for place, method in enumerate(reversed(methods)):
        gain, test = figures[method]["minus_alone"], figures[method]["test"]["values"]
        alone = figures["labels"]["test"]["values"]
        seeds = [100 * (a - b) for a, b in zip(test, alone, strict=True)]
        axes.plot(seeds, [place] * len(seeds), "|", color="#8a8a8a", markersize=9)
        axes.plot([100 * gain["low"], 100 * gain["high"]], [place] * 2, color="#2f5d8a", lw=2)
        axes.plot([100 * gain["mean"]], [place], "o", color="#2f5d8a")
    axes.axvline(0, color="#444444", linewidth=1)
    axes.set_yticks(range(len(methods)), reversed(methods))
    axes.set_xlabel("points of test accuracy above the same student trained alone")
    axes.set_title(f"{name}, {len(figures['labels']['test']['values'])} seeds", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
