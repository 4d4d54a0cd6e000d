"""Commands about model files: measuring, asking, writing them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekd.cli.app import app, console


@app.command()
def bench(
    model: Annotated[Path, typer.Argument(help="An .onnx, .ort or .tflite file, anybody's.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Test data for the accuracy: an .npz of x and y, or a table."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="The table's column of the answers.")
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
    rows = bench_file(model, as_settings(BenchSettings, raw), data, label or ())
    if json_:
        import json

        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        return
    from edgekd.bench.table import format_bench
    from edgekd.report.terminal import text_table

    console().print(text_table(format_bench(rows)))
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
        list[str] | None, typer.Option("--format", help="onnx, tflite (both if left out), ort.")
    ] = None,
) -> None:
    """Write ONNX and TFLite files of a trained network."""
    from edgekd.stages.export import export_folder

    for path in export_folder(model, output, tuple(format_ or ("onnx", "tflite"))):
        print(path)


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
def check(
    model: Annotated[Path, typer.Argument(help="A file that edgekd exported.")],
    golden: Annotated[
        Path | None, typer.Option("--golden", help="golden.json; the one beside the file.")
    ] = None,
) -> None:
    """Run a file on its golden samples and compare with what it gave when it was exported."""
    from edgekd.runtimes.golden import check_golden

    found = check_golden(model, golden)
    print(
        f"{found.file}: {found.samples} samples as exported; the largest difference is "
        f"{found.largest:.4g}, and {found.tolerance:.4g} is allowed"
    )
