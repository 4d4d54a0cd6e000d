"""The command line: parse, call, print. No logic."""

from __future__ import annotations

import logging
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edgekd.errors import EdgekdError


class _Commands(TyperGroup):
    """Tells Ctrl-C apart from other ends."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise EdgekdError(
                "Stopped. Finished stages and the last finished epoch are kept.",
                fix="the same command goes on from there",
            ) from interrupt


app = typer.Typer(
    cls=_Commands,
    name="edgekd",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a data set and a budget to a small int8 network that runs on phones and boards.",
)


class SchemaOf(StrEnum):
    """What `edgekd schema` can print."""

    pipeline = "pipeline"
    device = "device"
    result = "result"


_DEBUG = "--debug"
"""Accepted anywhere on the command line: errors with their traceback, libraries with their say."""
RUNS = Annotated[Path, typer.Option("--runs", help="Where run folders lie.")]
WINDOW = Annotated[
    int | None,
    typer.Option("--window", min=1, help="A table is a signal over time, in windows of N steps."),
]


def main() -> None:
    """The `edgekd` command. Exit codes: 0 done; 1 a stage failed; 2 the pipeline file or the
    arguments are wrong; 3 a budget was missed.
    """
    arguments = [argument for argument in sys.argv[1:] if argument != _DEBUG]
    debug = len(arguments) < len(sys.argv) - 1
    if not debug:
        _silence_libraries()
    try:
        app(arguments)
    except EdgekdError as error:
        if debug:
            raise
        print(f"edgekd: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        print(
            f"edgekd: {type(error).__name__}: {error}\n"
            "  where: this is not an error that edgekd knows\n"
            f"  fix:   run the command again with {_DEBUG} to see where it happened",
            file=sys.stderr,
        )
        sys.exit(1)


def _silence_libraries() -> None:
    """Libraries warn their own developers: of deprecations, of kernels for GPUs that are not here.
    Nothing of that is for the user, and `--debug` shows it.
    """
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def _print_version(wanted: bool) -> None:
    if wanted:
        from edgekd.keys import installed_version

        print(f"edgekd {installed_version('edgekd')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print it and exit."
        ),
    ] = False,
) -> None:
    """From a data set and a budget to a small int8 network that runs on phones and boards."""


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

    console = _console()
    with choose(console) as progress:
        result = run_pipeline(
            pipeline,
            overrides=set_ or [],
            from_stage=from_,
            until=until,
            runs=runs,
            progress=progress,
        )
    console.print(summary_table(result.summary))
    console.print(f"report: {result.report}", soft_wrap=True)
    if not result.budget_met:
        from edgekd.summary import missed_budget

        raise missed_budget(result.summary, result.folder)


@app.command()
def compress(
    model: Annotated[
        str,
        typer.Argument(
            help="A saved model's folder, an .onnx file, file.py:function or a network's name."
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

    console = _console()
    with choose(console) as progress:
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
    console.print(made.pipeline_file.read_text(encoding="utf-8"), markup=False, soft_wrap=True)
    console.print(summary_table(made.result.summary))
    console.print(f"report: {made.result.report}", soft_wrap=True)
    console.print(f"next:   edgekd run {made.pipeline_file}", soft_wrap=True)
    if made.missed is not None:
        raise made.missed


@app.command()
def init(
    data: Annotated[
        Path | None, typer.Option("--data", help="Your data: an .npz file or a table.")
    ] = None,
    output: Annotated[Path, typer.Argument(help="The file to write.")] = Path("pipeline.yaml"),
    window: WINDOW = None,
) -> None:
    """Write a commented pipeline file to start from."""
    from edgekd.starter import write_starter

    write_starter(output, data, window)
    print(f"{output} is written. Next: edgekd validate {output}; edgekd run {output}")


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
def schema(of: Annotated[SchemaOf, typer.Argument(help="Which schema.")]) -> None:
    """Print a JSON Schema: of the pipeline file, the device file or summary.json."""
    from edgekd.schema import schema_text

    print(schema_text(of.value), end="")


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing, and the command that mends it."""
    from edgekd.doctor import examine

    ok = True
    for check in examine():
        ok = ok and (check.ok or check.optional)
        print(check)
    raise typer.Exit(0 if ok else 1)


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
    console = _console()
    console.print(summary_table(summary))
    console.print(f"report: {page}", soft_wrap=True)


@app.command()
def bench(
    model: Annotated[Path, typer.Argument(help="An .onnx or .tflite file, anybody's.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="An .npz file with x and y, for the accuracy.")
    ] = None,
    threads: Annotated[list[str] | None, typer.Option(help="1, 2, ... or all.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the time.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure latency, memory and accuracy of a model file on this machine."""
    from edgekd.bench.jobs import bench_file
    from edgekd.config.load import validate as as_settings
    from edgekd.config.stages import BenchSettings

    raw: dict[str, Any] = {"quick": quick}
    if threads:
        raw["threads"] = [int(t) if t.isdigit() else t for t in threads]
    rows = bench_file(model, as_settings(BenchSettings, raw), data)
    if json_:
        import json

        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        return
    from edgekd.bench.table import format_bench
    from edgekd.report.terminal import text_table

    _console().print(text_table(format_bench(rows)))
    for warning in dict.fromkeys(text for row in rows for text in row.warnings):
        print(f"note: {warning}")


@app.command()
def export(
    model: Annotated[
        Path, typer.Argument(help="A saved model's folder, such as runs/N/distill-*.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")] = Path(
        "export"
    ),
    format_: Annotated[
        list[str] | None, typer.Option("--format", help="onnx, tflite; both if left out.")
    ] = None,
) -> None:
    """Write ONNX and TFLite files of a trained network."""
    from edgekd.stages.export import export_folder

    for path in export_folder(model, output, tuple(format_ or ("onnx", "tflite"))):
        print(path)


@app.command()
def data(
    source: Annotated[
        Path,
        typer.Argument(help="A folder or .zip of pictures or recordings, .npz or a table."),
    ],
    label: Annotated[
        str | None,
        typer.Option(
            "--label", help="Expression that finds a recording's class; a table's label column."
        ),
    ] = None,
    size: Annotated[
        tuple[int, int] | None, typer.Option("--size", help="Height and width of pictures.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write a picture with samples of each class.")
    ] = None,
    window: WINDOW = None,
) -> None:
    """Say what is in a data source: classes, sizes, broken files, duplicates."""
    from edgekd.data.inspect import inspect

    for line in inspect(source, label=label, size=size, sheet=sheet, window=window):
        print(line)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A file that edgekd exported.")],
    files: Annotated[list[Path], typer.Argument(help="Recordings, pictures, .npy or .csv.")],
    top: Annotated[int, typer.Option(min=1, help="Answers to print for each.")] = 1,
) -> None:
    """Ask a deployed model about your own files, in its own runtime."""
    from edgekd.runtimes.predict import predict as answer

    for prediction in answer(model, files, top=top):
        print(prediction)


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
        kept = node not in again and store.finished(node.stage, node.key) is not None
        state = "finished" if kept else "to do"
        uses = ", ".join(used.name for used in node.inputs.values())
        print(f"{node.name:16} {node.key}  {state:8}  {'from ' + uses if uses else ''}".rstrip())


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)
