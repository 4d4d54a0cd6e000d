"""The command that searches over a pipeline's fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.app import app, console
from edgekd.cli.options import RUNS, ExecutorName


@app.command()
def sweep(
    pipeline: Annotated[str, typer.Argument(help="A pipeline file, or a shipped one's name.")],
    search: Annotated[Path, typer.Argument(help="A search file: fields, ranges, objectives.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="Instead of the search file's.")
    ] = None,
    executor: Annotated[
        ExecutorName, typer.Option("--executor", help="Where trials run.")
    ] = ExecutorName.local,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Trials at once.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", metavar="URL", help="Instead of sweep.db: postgresql://... or a .db file."
        ),
    ] = None,
    runs: RUNS = Path("runs"),
) -> None:
    """Search over fields of a pipeline for several objectives, and make the front's points."""
    from edgekd.report.sweep_terminal import conclusion, front_table
    from edgekd.report.terminal import choose
    from edgekd.sweep.command import sweep as run_sweep
    from edgekd.sweep.executor import named

    shown = console()
    with choose(shown) as progress:
        made = run_sweep(
            pipeline,
            search,
            overrides=set_ or [],
            storage=storage,
            runs=runs,
            trials=trials,
            executor=named(executor.value, jobs),
            progress=progress,
        )
    shown.print(front_table(made.figures))
    for line in conclusion(made.figures):
        shown.print(line, soft_wrap=True)
    shown.print(f"front:  {made.folder / 'front'}", soft_wrap=True)
    shown.print(f"report: {made.page}", soft_wrap=True)
