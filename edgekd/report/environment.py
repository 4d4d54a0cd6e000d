"""What the pages' templates share: jinja2, the style sheet, numbers as people read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.report import diagnosis, figures, units

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).resolve().parent


def environment() -> Environment:
    """Templates of this folder; text is escaped, and a name that is not there is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_filters())
    return made


def style_sheet() -> Markup:
    """style.css, as it stands in a page."""
    from markupsafe import Markup

    return Markup((HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - ours


def _filters() -> dict[str, Any]:
    return {
        "count": units.count,
        "size": units.size,
        "us": units.microseconds,
        "operations": units.operations,
        "decibels": diagnosis.decibels,
        "percent": units.percent,
        "interval": lambda it: units.interval(it.low, it.high),
        "score": units.score,
        "score_range": units.score_range,
        "metric": units.metric,
        "points": units.points,
        "duration": units.duration,
        "short": units.short,
        "quantity": units.quantity,
        "seed_figure": units.seed_figure,
        "stage_title": figures.title,
    }
