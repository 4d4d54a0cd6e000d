"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edgekd.config.stages import OnnxInput


class KindOf(StrEnum):
    """What samples of three axes are."""

    images = "images"
    series = "series"


class Calibrate(StrEnum):
    """How the ranges of activations are found."""

    auto = "auto"
    minmax = "minmax"
    entropy = "entropy"
    percentile = "percentile"


class ExecutorName(StrEnum):
    """Where the trials of a sweep run."""

    local = "local"


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
DATA = Annotated[
    str, typer.Option("--data", help="A name, an .npz, a folder, a .zip, a table or a pipeline.")
]
LABEL_COLUMN = Annotated[
    str | None, typer.Option("--label", help="The table's column of the answers.")
]
LAYOUT = Annotated[
    str | None,
    typer.Option("--layout", help="NCHW or NHWC, where the file's shape leaves it open."),
]
SCALE = Annotated[
    float | None,
    typer.Option("--scale", help="Raw values times this first, such as 0.003921569."),
]
MEAN = Annotated[
    str | None, typer.Option("--mean", help='Taken off then: one number, or "0.5,0.5,0.5".')
]
STD = Annotated[str | None, typer.Option("--std", help="And divided by, likewise.")]
KEY = Annotated[
    Path | None,
    typer.Option("--sign", help="Signs manifest.json with this OpenSSH key; ssh-keygen asks."),
]
SIGNER = Annotated[
    Path | None,
    typer.Option("--signer", help="A public key, or allowed signers, that must have signed it."),
]
OUTPUT = Annotated[
    str | None, typer.Option("--output", help="The output with the answer, where there are more.")
]


def input_settings(
    layout: str | None,
    scale: float | None,
    mean: str | None,
    std: str | None,
    output: str | None,
) -> OnnxInput:
    """How a file wants its input, as the options say.

    Raises:
        ConfigError: one of them is no number, or no layout.
    """
    from edgekd.config.load import validate
    from edgekd.config.stages import OnnxInput

    raw: dict[str, Any] = {
        "layout": layout,
        "scale": scale,
        "mean": None if mean is None else mean.split(","),
        "std": None if std is None else std.split(","),
        "output": output,
    }
    return validate(OnnxInput, {key: value for key, value in raw.items() if value is not None})
