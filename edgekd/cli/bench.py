"""Commands about measuring: files, and results against each other."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekd.cli.app import app, console
from edgekd.cli.options import LAYOUT, MEAN, OUTPUT, SCALE, STD, input_settings


class Runtime(StrEnum):
    """What runs files of a format."""

    onnxruntime = "onnxruntime"
    litert = "litert"


class Form(StrEnum):
    """How results are printed."""

    table = "table"
    benchmark_model = "benchmark_model"


class Start(StrEnum):
    """Where the measuring starts."""

    tensor = "tensor"
    raw = "raw"


class Use(StrEnum):
    """How the model is used."""

    single_stream = "single-stream"
    offline = "offline"


PROCESSES = 5
"""Enough for an interval over starts of the program, in a quarter of a minute a file."""


@app.command()
def bench(
    models: Annotated[list[Path], typer.Argument(help=".onnx, .ort and .tflite files.")],
    device: Annotated[
        list[str] | None, typer.Option("--device", help="A device profile, or pi-* for several.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Where a browser's page is served: 0.0.0.0 for phones in this network."),
    ] = None,
    runtime: Annotated[
        list[Runtime] | None, typer.Option("--runtime", help="Leaves out other files.")
    ] = None,
    threads: Annotated[list[str] | None, typer.Option(help="1, 2, ... or all.")] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Test data for the accuracy: an .npz, a table, a folder ..."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="The table's column of the answers.")
    ] = None,
    layout: LAYOUT = None,
    scale: SCALE = None,
    mean: MEAN = None,
    std: STD = None,
    output: OUTPUT = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Starts of the program, 5; with --quick 1.")
    ] = None,
    num_runs: Annotated[int, typer.Option(min=1, help="At least so many runs of each.")] = 200,
    min_secs: Annotated[float, typer.Option(min=0.001, help="And at least so long.")] = 3.0,
    max_secs: Annotated[
        float | None, typer.Option(min=0.001, help="But no longer; also of few runs.")
    ] = None,
    warmup_runs: Annotated[int, typer.Option(min=1, help="At least so many before.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the time.")] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also the time by operator, in a process of its own.")
    ] = False,
    stream: Annotated[
        float | None,
        typer.Option(
            min=0.001, metavar="FPS", help="Also frames at this rate, counting late ones."
        ),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="MS", help="Of a frame; until the next one if left out."),
    ] = None,
    stream_secs: Annotated[float, typer.Option(min=0.001, help="How long frames come.")] = 10.0,
    scenario: Annotated[
        Use | None,
        typer.Option(help="Also MLPerf's figure: one sample at a time, or all at once."),
    ] = None,
    from_: Annotated[
        Start,
        typer.Option("--from", help="raw: also from a picture's or recording's bytes (--data)."),
    ] = Start.tensor,
    repeat: Annotated[
        int, typer.Option(min=0, help="Measure again, so often, what was disturbed.")
    ] = 0,
    format_: Annotated[
        Form, typer.Option("--format", help="A table, or TFLite's benchmark_model's lines.")
    ] = Form.table,
    submit: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also a file there that you can send in.")
    ] = None,
    json_: Annotated[
        Path | None,
        typer.Option("--json", help="Write the result to this file; - prints it alone."),
    ] = None,
) -> None:
    """Measure latency, memory and accuracy of model files; several take turns."""
    from edgekd.bench.jobs import More, bench_files
    from edgekd.config.load import validate as as_settings
    from edgekd.config.stages import BenchSettings

    raw: dict[str, Any] = {
        "quick": quick,
        "min_runs": num_runs,
        "min_seconds": min_secs,
        "max_seconds": max_secs,
        "warmup_runs": warmup_runs,
        "processes": processes or (1 if quick else PROCESSES),
    }
    if device:
        raw["devices"] = device
    if runtime:
        raw["runtimes"] = [one.value for one in runtime]
    if threads:
        raw["threads"] = [int(t) if t.isdigit() else t for t in threads]
    settings = as_settings(BenchSettings, raw)
    if submit is not None:
        from edgekd.bench.submission import check_length

        check_length(quick=quick)
    more = More(
        profile=models if profile else (),
        fps=stream,
        deadline_ms=deadline,
        stream_seconds=stream_secs,
        raw=from_ is Start.raw,
        scenario=None if scenario is None else scenario.value,
    )
    given = input_settings(layout, scale, mean, std, output)
    known = {"given": given, "more": more, "host": host}
    measure = partial(bench_files, models, settings, data, label or (), **known)
    result = measure()
    while result.disturbed and _again(result.disturbed, repeat):
        repeat -= 1
        result = measure()
    if json_ is not None and str(json_) != "-":
        from edgekd.store import write_json

        write_json(json_, result.model_dump(mode="json"))
    if str(json_) == "-":
        print(result.model_dump_json(indent=1))
    elif format_ is Form.benchmark_model:
        from edgekd.bench.benchmark_model import summary_lines

        print("\n".join(summary_lines(result.rows)))
    else:
        _show(result)
    if submit is not None:
        _submit(result, submit)
    for name, why in result.failed.items():
        print(f"edgekd: the device {name} gave no result. {why}", file=sys.stderr)
    if result.failed:
        raise typer.Exit(1)


def _submit(result: Any, folder: Path) -> None:
    """Writes a file for others; what is told goes to stderr, beside a result that is printed."""
    from edgekd.bench.submission import HOLDS, submit
    from edgekd.config.load import load_device

    kinds = {name: load_device(name).kind for name in result.machines}
    print(f"written: {submit(result, kinds, folder)}. It holds {HOLDS}.", file=sys.stderr)


def _again(disturbed: list[str], left: int) -> bool:
    """Whether to measure once more: as often as was asked for, else as the user says."""
    if left > 0:
        print(f"measuring again: {disturbed[0]}", file=sys.stderr)
        return True
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(f"note: {disturbed[0]}", file=sys.stderr)
        return typer.confirm("Measure again?", default=False, err=True)
    return False


def _show(result: Any) -> None:
    from edgekd.bench.compare import describe, within
    from edgekd.bench.scenario import describe as describe_scenario
    from edgekd.bench.table import (
        describe_raw,
        describe_stream,
        format_bench,
        format_profile,
        format_types,
    )
    from edgekd.report.terminal import text_table

    console().print(text_table(format_bench(result.rows)))
    if (
        len({row.model for row in result.rows if row.latency_us}) > 1
        and result.settings["processes"] > 1
    ):
        for pair in within(result, 0.95):
            print(describe(pair))
        print()
    for row in result.rows:
        if row.raw:
            print(describe_raw(row))
        if row.scenario:
            print(describe_scenario(row.model, row.threads, row.scenario))
        if row.stream:
            print(describe_stream(row))
        if row.profile:
            print(f"{row.model}, {row.threads} threads, by operator:")
            console().print(text_table(format_profile(row)))
            console().print(text_table(format_types(row)))
        elif row.profile_note:
            print(f"note: {row.model}: {row.profile_note}")
    for warning in dict.fromkeys(text for row in result.rows for text in row.warnings):
        print(f"note: {warning}")
    if result.disturbed:
        print("note: the measurement was disturbed; --repeat 2 measures again")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="What edgekd bench --json FILE wrote.")],
    second: Annotated[
        Path | None,
        typer.Argument(
            help="Another one; left out, the first file of one result against the rest."
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="Of the intervals and verdicts.")
    ] = 0.95,
    fail_above: Annotated[
        str | None,
        typer.Option(help="Exit code 1 for what is shown to be slower, by more than this: 5%."),
    ] = None,
) -> None:
    """Say which of two results is faster, or that no difference is shown."""
    from edgekd.bench.compare import between, describe, notes, read_share, regressions, within
    from edgekd.bench.result import read_result

    bound = None if fail_above is None else read_share(fail_above)
    one = read_result(first)
    if second is None:
        pairs = within(one, confidence)
    else:
        pairs = between(one, read_result(second), confidence)
    for pair in pairs:
        print(describe(pair))
    for note in notes(pairs):
        print(f"note: {note}")
    slower = [] if bound is None else regressions(pairs, bound)
    for pair in slower:
        print(f"slower than allowed: {pair.second.model}, {pair.second.threads} threads")
    raise typer.Exit(1 if slower else 0)
