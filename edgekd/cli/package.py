"""The command that makes bundles for apps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.app import app
from edgekd.cli.options import KEY


@app.command()
def package(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, runs/NAME.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="android, apple, linux or web; may be repeated. All if left out."
        ),
    ] = None,
    version: Annotated[
        str, typer.Option("--version", help="Of the bundle: MAJOR.MINOR.PATCH.")
    ] = "0.1.0",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where it goes; RUN/package-VERSION if left out.")
    ] = None,
    sign: KEY = None,
) -> None:
    """Make a bundle of a run's model for an app: with its preprocessing, checks and a card."""
    from edgekd.package.target import TARGETS
    from edgekd.package.write import package as write
    from edgekd.pipeline import read_summary

    summary = read_summary(folder)
    targets = list(dict.fromkeys(target or TARGETS))
    for made in write(folder, summary, targets, version=version, out=out, key=sign):
        for path in made.files:
            print(path)
