"""What each layer of the int8 network loses: a table and a plot, in the page and by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from edgekd.errors import ConfigError
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.results import LayerFigures, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HURTS = 0.1
"""A layer that makes more than this share of the final error hurts, if it makes more than twice
the mean share as well."""
ENDS = ("input", "output")
"""Operators of layers that only round, and cannot be kept in float."""
SHOWN = 40
"""Layers in the plot: of more, those with the largest shares."""
ROW, AROUND = 17, 86
"""Height of a layer in the plot, and of what is around them, in pixels."""


@dataclass(frozen=True)
class DiagnosisSection:
    """What the template shows."""

    rows: list[LayerFigures]
    """In the network's order."""
    hurting: list[str]
    plot: Markup
    samples: int
    kept: list[str]
    """Layers that stay float because that pays."""


def diagnosis_section(summary: Summary) -> DiagnosisSection | None:
    """Of the first seed; None in a run without int8."""
    rows = [row for row in summary.layers if row.seed == summary.seed]
    if not rows:
        return None
    label = (
        f"Signal-to-noise ratio and share of the final error of {len(rows)} layers; the largest "
        f"share has {max(rows, key=lambda row: row.share).name}"
    )
    with style():
        plot = to_svg(draw(rows), "diagnosis", label)
    quantize = (summary.settings.get("quantize") or {}).get("keep_float")
    kept = list(rows[0].kept) if quantize == "auto" else []
    return DiagnosisSection(rows, hurting(rows), plot, rows[0].samples, kept)


def hurting(rows: Sequence[LayerFigures]) -> list[str]:
    """Names of the layers that make most of the final error, the worst first."""
    least = max(HURTS, 2 / len(rows)) if rows else 1.0
    found = sorted(rows, key=lambda row: -row.share)
    return [row.name for row in found if row.share > least]


def decibels(row: LayerFigures) -> str:
    """Such as "38.2 dB"."""
    return "exact" if row.sqnr_db is None else f"{row.sqnr_db:.1f} dB"


def table(rows: Sequence[LayerFigures]) -> list[tuple[str, ...]]:
    """Head and lines for a terminal."""
    marked = set(hurting(rows))
    lines = [
        (
            row.name,
            row.operator,
            decibels(row),
            f"{row.cosine:.5f}",
            f"{row.share:.1%}",
            "hurts" if row.name in marked else "",
        )
        for row in rows
    ]
    return [("layer", "operator", "SQNR", "cosine", "share of error", ""), *lines]


def draw(rows: Sequence[LayerFigures]) -> Figure:
    """SQNR and share of the final error by layer, from the input down. Call it inside `style()`."""
    shown = set(sorted(range(len(rows)), key=lambda i: -rows[i].share)[:SHOWN])
    few = [row for number, row in enumerate(rows) if number in shown]
    marked = set(hurting(rows))
    figure = new_figure(720, AROUND + ROW * len(few))
    left, right = figure.subplots(1, 2, sharey=True)
    places = range(len(few))
    colours = [COLOURS["prune" if row.name in marked else "quantize"] for row in few]
    finite = [row.sqnr_db for row in few if row.sqnr_db is not None]
    top = max(finite, default=0.0)
    values = [top if row.sqnr_db is None else row.sqnr_db for row in few]
    left.hlines(places, min(0.0, *values), values, colors=colours, linewidth=1.4)
    left.scatter(values, list(places), 26, colours, zorder=3)
    left.set_xlabel("SQNR of the layer's output, dB (more is better)")
    left.set_yticks(list(places), [row.name for row in few])
    left.set_ylim(len(few) - 0.4, -0.6)
    left.set_title("All of it in int8")
    right.barh(list(places), [100 * row.share for row in few], 0.62, color=colours)
    right.set_xlabel("share of the final error, %")
    right.set_title("Only this layer in int8")
    for axes in (left, right):
        axes.grid(visible=False, axis="y")
    if len(few) < len(rows):
        figure.supxlabel(f"the {len(few)} layers of {len(rows)} with the largest shares")
    return figure


def told(rows: Sequence[LayerFigures]) -> str:
    """The layers that hurt, and what tells whether float pays there."""
    bad = hurting(rows)
    if not bad:
        return f"{rows[0].samples} samples; no layer makes much more of the error than the others"
    text = f"{rows[0].samples} samples; most of the error comes from {', '.join(bad)}"
    ends_only = all(row.operator in ENDS for row in rows if row.name in bad)
    return text + (
        "" if ends_only else "; quantize.keep_float: auto tries whether float pays there"
    )


def check_suffix(path: Path) -> str:
    """The form of a picture by its name.

    Raises:
        ConfigError: it is none of svg, png, pdf.
    """
    form = path.suffix.lower().lstrip(".")
    if form not in ("svg", "png", "pdf"):
        raise ConfigError(
            "A picture is an .svg, .png or .pdf file.", where=str(path), fix="-o diagnosis.svg"
        )
    return form


def write(rows: Sequence[LayerFigures], path: Path) -> None:
    """The plot as a file by itself: .svg, .png or .pdf.

    Raises:
        ConfigError: another suffix.
    """
    import io

    from edgekd.store import write_atomic

    form = check_suffix(path)
    content = io.BytesIO()
    with style():
        figure = draw(rows)
        figure.savefig(content, format=form, facecolor=COLOURS["paper"], dpi=144)
    write_atomic(path, content.getvalue())
