"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class KindOf(StrEnum):
    """What samples of three axes are."""

    images = "images"
    series = "series"


RUNS = Annotated[Path, typer.Option("--runs", help="Where run folders lie.")]
WINDOW = Annotated[
    int | None,
    typer.Option("--window", min=1, help="A table is a signal over time, in windows of N steps."),
]
SIZE = Annotated[
    tuple[int, int] | None, typer.Option("--size", help="Height and width of pictures.")
]
LABEL = Annotated[
    str | None,
    typer.Option(
        "--label", help="A table's label column; the expression that finds a recording's class."
    ),
]
KIND = Annotated[
    KindOf | None,
    typer.Option("--kind", help="What samples of three axes in an .npz are, if not as they look."),
]
