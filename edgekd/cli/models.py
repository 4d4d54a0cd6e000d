"""Commands about model files: asking and writing them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.app import app, console
from edgekd.cli.options import (
    DATA,
    LABEL_COLUMN,
    LAYOUT,
    MEAN,
    OUTPUT,
    SCALE,
    STD,
    Calibrate,
    input_settings,
)


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
    precision: Annotated[
        list[str] | None,
        typer.Option(help="float32, float16, int8, int8-dynamic, int8-weights."),
    ] = None,
) -> None:
    """Write ONNX and TFLite files of a trained network."""
    from edgekd.stages.export import export_folder

    formats, precisions = tuple(format_ or ("onnx", "tflite")), tuple(precision or ())
    for path in export_folder(model, output, formats, precisions):
        print(path)


@app.command()
def quantize(
    model: Annotated[Path, typer.Argument(help="A float32 .onnx file, anybody's.")],
    data: DATA,
    out: Annotated[Path, typer.Option("--out", help="Folder for the int8 file.")] = Path("int8"),
    calibrate: Annotated[
        Calibrate, typer.Option("--calibrate", help="How ranges are found; auto tries all.")
    ] = Calibrate.auto,
    samples: Annotated[int, typer.Option(min=1, help="Training samples that are observed.")] = 256,
    label: LABEL_COLUMN = None,
    layout: LAYOUT = None,
    scale: SCALE = None,
    mean: MEAN = None,
    std: STD = None,
    output: OUTPUT = None,
) -> None:
    """Make the int8 form of an ONNX file that edgekd did not train, and say what it cost."""
    from edgekd.given.command import quantize as make_int8
    from edgekd.given.table import notes, rows
    from edgekd.report.terminal import text_table

    found = make_int8(
        model,
        data,
        out,
        settings=input_settings(layout, scale, mean, std, output),
        calibrate=calibrate.value,
        samples=samples,
        label=label,
    )
    console().print(text_table(rows(found)))
    for line in notes(found):
        print(line)
    for warning in found.warnings:
        print(f"note: {warning}")
    print(f"written: {found.file}")


@app.command()
def diagnose(
    model: Annotated[
        Path, typer.Argument(help="A run folder, or a quantize stage's in it: runs/N/quantize-*.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="An .npz of samples x, or a table; the run's if left out."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="So many samples at most.")] = 256,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture: .svg, .png or .pdf.")
    ] = Path("diagnosis.svg"),
    json_: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare an int8 network with its float form, layer by layer, and name what hurts."""
    from edgekd.report import diagnosis
    from edgekd.stages.diagnosis import diagnose_folder, figures_of

    diagnosis.check_suffix(output)
    found = diagnose_folder(model, data, samples)
    rows = figures_of(found, seed=0)
    diagnosis.write(rows, output)
    if json_:
        import json

        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        return
    from edgekd.report.terminal import text_table

    console().print(text_table(diagnosis.table(rows)))
    print(diagnosis.told(rows))
    print(output)


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
