"""Matplotlib figures as SVG that lives inside a page: themed by its CSS, and always the same bytes.

Matplotlib writes fixed colours, ids that repeat from figure to figure, and a global style sheet.
Here every colour becomes a CSS variable (so that dark mode recolours the plot), every id gets the
figure's name in front, and text stays text in the page's font.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "ink": "#1c232d",
    "muted": "#5b6674",
    "grid": "#dfe4ea",
    "paper": "#fdfdfc",
    "teacher": "#8a4b8f",
    "distill": "#0a6ebd",
    "finetune": "#38a3d6",
    "prune": "#b85c00",
    "quantize": "#00795a",
}
"""The light theme. style.css holds the same names as variables, and their dark values."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edgekd",
    "text.parse_math": False,  # a label may hold a dollar sign
    "font.family": ["DejaVu Sans"],  # measured with this one, which matplotlib brings along
    "font.size": 11.5,
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
}

_NAMES = {colour: name for name, colour in COLOURS.items()}
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings for the page, for as long as a figure is drawn and written."""
    import matplotlib as mpl

    # Text is written as text, so a glyph that matplotlib's own font lacks costs only its exact
    # width in the layout, and the browser has it.
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many CSS pixels. Call it inside `style()`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), layout="constrained")


def to_svg(figure: Figure, name: str, label: str) -> Markup:
    """The figure as an <svg> element. Call it inside `style()`.

    Args:
        name: unique in the page; letters, digits and dashes.
        label: what the figure shows, for readers that cannot see it.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(text, metadata=nothing)
    root = ET.fromstring(text.getvalue())  # noqa: S314 - it was written two lines above
    _strip(root)
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            element.set("href" if key == _HREF else key, _rewrite(key, value, name))
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "role": "img", "aria-label": label, "class": "plot"})
    ET.register_namespace("", _SVG.strip("{}"))
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - escaped by ElementTree


def _strip(root: ET.Element) -> None:
    """Removes metadata and the global style sheet, of which style.css has a scoped copy."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)


def _rewrite(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == _HREF or "url(#" in value:
        return value.replace("#", f"#{name}-")
    if key in ("style", "fill", "stroke"):
        return re.sub(r"#[0-9a-f]{6}", _variable, value)
    return value


def _variable(match: re.Match[str]) -> str:
    name = _NAMES.get(match[0])
    return f"var(--{name})" if name else match[0]
