"""Commands about runs: making them, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.app import app, console
from edgekd.cli.options import RUNS


@app.command()
def run(
    pipeline: Annotated[str, typer.Argument(help="A pipeline file, or a shipped one's name.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the file."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Make it and what follows again.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="STAGE", help="The last stage to run.")
    ] = None,
    runs: RUNS = Path("runs"),
    plan: Annotated[bool, typer.Option("--plan", help="Print the stages and run none.")] = False,
) -> None:
    """Run a pipeline: train, distil, compress, export, measure, report."""
    if plan:
        _print_plan(pipeline, set_ or [], from_, until, runs)
        return
    from edgekd.pipeline import run as run_pipeline
    from edgekd.report.terminal import choose, summary_table

    shown = console()
    with choose(shown) as progress:
        result = run_pipeline(
            pipeline,
            overrides=set_ or [],
            from_stage=from_,
            until=until,
            runs=runs,
            progress=progress,
        )
    shown.print(summary_table(result.summary))
    shown.print(f"report: {result.report}", soft_wrap=True)
    if not result.budget_met:
        from edgekd.summary import missed_budget

        raise missed_budget(result.summary, result.folder)


@app.command()
def labels(
    pipeline: Annotated[str, typer.Argument(help="A pipeline file, or a shipped one's name.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="An .npz file of them, for teacher.labels elsewhere."),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field.")
    ] = None,
    runs: RUNS = Path("runs"),
) -> None:
    """Make the teacher's soft labels, once for all students, and say what they are worth."""
    from edgekd.labels import make_labels
    from edgekd.report.terminal import choose

    shown = console()
    with choose(shown) as progress:
        result = make_labels(pipeline, out=out, overrides=set_ or [], runs=runs, progress=progress)
    shown.print(f"report: {result.report}", soft_wrap=True)
    if out is not None:
        shown.print(f"labels: {out}", soft_wrap=True)


@app.command()
def compress(
    model: Annotated[
        str,
        typer.Argument(
            help="A saved model's folder, an .onnx or .keras file, file.py:function, or a name."
        ),
    ],
    data: Annotated[
        str,
        typer.Option("--data", help="A name, an .npz, a folder, a .zip, or a pipeline file."),
    ],
    budget: Annotated[str, typer.Option("--budget", help='Such as "40 kB, 2 ms, -1 %".')],
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A .safetensors file for a factory or a name.")
    ] = None,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.1, help="Bound on the whole command.")
    ] = 20,
    name: Annotated[str | None, typer.Option("--name", help="Names the run folder.")] = None,
    runs: RUNS = Path("runs"),
    candidates: Annotated[
        int | None, typer.Option("--candidates", min=1, help="Most that are measured.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Most epochs of the training.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the pipeline."),
    ] = None,
) -> None:
    """Make a small int8 model of a trained one, within a budget and a time."""
    from edgekd.deploy.command import compress as make_small
    from edgekd.report.terminal import choose, summary_table

    shown = console()
    with choose(shown) as progress:
        made = make_small(
            model,
            data=data,
            budget=budget,
            weights=weights,
            minutes=minutes,
            name=name,
            runs=runs,
            candidates=candidates,
            epochs=epochs,
            overrides=set_ or [],
            progress=progress,
        )
    shown.print(made.pipeline_file.read_text(encoding="utf-8"), markup=False, soft_wrap=True)
    shown.print(summary_table(made.result.summary))
    shown.print(f"report: {made.result.report}", soft_wrap=True)
    shown.print(f"next:   edgekd run {made.pipeline_file}", soft_wrap=True)
    if made.missed is not None:
        raise made.missed


@app.command()
def validate(
    pipeline: Annotated[str, typer.Argument(help="A pipeline file, or a shipped one's name.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field.")
    ] = None,
) -> None:
    """Check a pipeline file and the files that it names, and print its stages."""
    from edgekd.pipeline import resolve
    from edgekd.plan import make_plan

    settings, base = resolve(pipeline, set_ or [])
    nodes = make_plan(settings, base)
    print(f"{pipeline} is right: {' > '.join(node.name for node in nodes)}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, runs/NAME.")],
) -> None:
    """Write the report of a run again and print its figures."""
    from edgekd.pipeline import read_summary
    from edgekd.report.terminal import summary_table
    from edgekd.stages.report import write_report

    summary = read_summary(folder)
    page = write_report(summary, folder, again=True)
    shown = console()
    shown.print(summary_table(summary))
    shown.print(f"report: {page}", soft_wrap=True)


@app.command()
def clean(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, runs/NAME.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing, say what would go.")
    ] = False,
) -> None:
    """Remove a run folder's artefacts that its latest run did not use."""
    from edgekd.clean import clean as remove
    from edgekd.pipeline import read_summary
    from edgekd.report.units import size

    removed = remove(folder, read_summary(folder), dry_run=dry_run)
    for artefact in removed:
        print(f"{artefact.name}  {size(artefact.bytes)}")
    total = size(sum(artefact.bytes for artefact in removed))
    print(f"{len(removed)} artefacts, {total} {'would be ' if dry_run else ''}freed")


def _print_plan(
    pipeline: str, overrides: list[str], from_: str | None, until: str | None, runs: Path
) -> None:
    from edgekd.pipeline import remade, resolve, select
    from edgekd.plan import make_plan
    from edgekd.store import Store

    settings, base = resolve(pipeline, overrides)
    store = Store(runs / settings.name)
    nodes = select(make_plan(settings, base), until)
    again = remade(nodes, from_)
    for node in nodes:
        kept = node not in again and store.finished(node.kind, node.key) is not None
        state = "finished" if kept else "to do"
        uses = ", ".join(used.name for used in node.inputs.values())
        print(f"{node.name:16} {node.key}  {state:8}  {'from ' + uses if uses else ''}".rstrip())
