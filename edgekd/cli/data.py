"""Commands about data: what is in it, and a pipeline file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.app import app
from edgekd.cli.options import KIND, LABEL, SIZE, WINDOW


@app.command()
def init(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Your data: a folder, .zip, .npz file or table."),
    ] = None,
    output: Annotated[Path, typer.Argument(help="The file to write.")] = Path("pipeline.yaml"),
    label: LABEL = None,
    size: SIZE = None,
    window: WINDOW = None,
    kind: KIND = None,
) -> None:
    """Write a commented pipeline file to start from."""
    from edgekd.starter import write_starter

    as_kind = kind.value if kind else None
    write_starter(output, data, window, label=label, size=size, kind=as_kind)
    print(f"{output} is written. Next: edgekd validate {output}; edgekd run {output}")


@app.command()
def data(
    source: Annotated[
        Path,
        typer.Argument(help="A folder or .zip of pictures or recordings, .npz or a table."),
    ],
    label: LABEL = None,
    size: SIZE = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write a picture with samples of each class.")
    ] = None,
    window: WINDOW = None,
    kind: KIND = None,
) -> None:
    """Say what is in a data source: classes, sizes, broken files, duplicates."""
    from edgekd.data.inspect import inspect

    as_kind = kind.value if kind else None
    found = inspect(source, label=label, size=size, sheet=sheet, window=window, kind=as_kind)
    for line in found:
        print(line)
