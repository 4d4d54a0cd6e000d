"""Commands about edgekd itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from edgekd.cli.app import app


class SchemaOf(StrEnum):
    """What `edgekd schema` can print."""

    pipeline = "pipeline"
    search = "search"
    device = "device"
    result = "result"
    bench = "bench"
    submission = "submission"


@app.command()
def schema(of: Annotated[SchemaOf, typer.Argument(help="Which schema.")]) -> None:
    """Print a JSON Schema: of pipeline, search or device file, summary.json, bench, submission."""
    from edgekd.schema import schema_text

    print(schema_text(of.value), end="")


@app.command()
def doctor(
    bench: Annotated[
        bool, typer.Option("--bench", help="Instead: what makes times on this machine doubtful.")
    ] = False,
) -> None:
    """Say what is installed, what is missing, and the command that mends it."""
    from edgekd.doctor import examine, examine_for_bench

    ok = True
    for check in examine_for_bench() if bench else examine():
        ok = ok and (check.ok or check.optional)
        print(check)
    raise typer.Exit(0 if ok else 1)
