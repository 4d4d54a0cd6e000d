"""What the command `edgekd quantize` does with its arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.config.stages import OnnxInput
from edgekd.errors import ConfigError
from edgekd.given.quantize import Quantized, quantize_file
from edgekd.given.static import CALIBRATIONS
from edgekd.progress import SILENT, Progress
from edgekd.runtimes.foreign import picture_size

TFLITE = (
    "A TFLite file cannot be quantized: its graph has lost what a quantizer needs, such as the "
    "float batch norms, and no tool reads it back into a form that can be calibrated."
)


def quantize(
    path: Path,
    source: str,
    out: Path,
    *,
    settings: OnnxInput,
    calibrate: str = "auto",
    samples: int = 256,
    label: str | None = None,
    progress: Progress = SILENT,
) -> Quantized:
    """See `edgekd.given.quantize.quantize_file`.

    Args:
        source: what `--data` names.
        calibrate: a calibration, or `auto` for the best of all on validation.

    Raises:
        ConfigError: it is no .onnx file.
        EdgekdError: the file or the data cannot be used.
    """
    from edgekd.data.command_source import named_data
    from edgekd.runtimes.check_onnx import inputs_of, read_onnx

    if path.suffix.lower() == ".tflite":
        raise ConfigError(
            TFLITE, where=str(path), fix="give the ONNX file or the network that it was made from"
        )
    if path.suffix.lower() != ".onnx":
        raise ConfigError("This is no .onnx file.", where=str(path))
    if not path.is_file():
        raise ConfigError("There is no such .onnx file.", where=str(path.absolute()))
    sources = inputs_of(read_onnx(path).graph)
    size = picture_size(_shape(sources[0]), settings.layout) if sources else None
    data = named_data(source, label=[label] if label else (), size=size)
    chosen: Any = CALIBRATIONS if calibrate == "auto" else (calibrate,)
    return quantize_file(
        path, data, out, settings=settings, calibrations=chosen, samples=samples, progress=progress
    )


def _shape(source: Any) -> list[int | None]:
    return [d.dim_value or None for d in source.type.tensor_type.shape.dim]
