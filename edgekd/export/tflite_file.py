"""Export to TFLite with litert-torch: batch 1, NHWC, with the model's spec inside."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import nn

from edgekd.export import flatbuffer
from edgekd.export.deployed import Precision, deployed, example
from edgekd.export.failure import conversion_error
from edgekd.export.quiet import quiet
from edgekd.spec import DeployedSpec, ModelSpec
from edgekd.store import write_atomic

NOTES = {
    "NHWC": "Input: NHWC, normalised.",
    "NF": "Input: rows, normalised.",
    "NCT": "Input: channels, then time; normalised.",
}


def export_tflite(
    module: nn.Module, spec: ModelSpec, path: Path, *, precision: Precision
) -> DeployedSpec:
    """Writes a TFLite file and returns what stands in its metadata.

    Args:
        module: for float32, a network in evaluation mode; for int8, what
            `edgekd.compress.quantize.convert(prepared, fold=False)` gives.
        spec: names of input and output, shape, labels. An image's input is NHWC in the file.
        path: the file to write.
        precision: float32 or int8; an int8 file takes and gives int8.

    Raises:
        StageError: TFLite cannot express the network; the operator is named.
    """
    return write_tflite(
        flatbuffer.parse(_converted(module, spec, precision)), spec, path, precision
    )


def write_tflite(model: Any, spec: ModelSpec, path: Path, precision: Precision) -> DeployedSpec:
    """Writes a converted model with the spec's names and the spec inside.

    Args:
        model: as `flatbuffer.parse` gives it, inputs in the spec's order.
    """
    *inputs, output = flatbuffer.end_quantizations(model)
    told = deployed(spec, "tflite", precision, inputs, output)
    flatbuffer.tidy(model, [part.name for part in spec.input.inputs], spec.output)
    note = NOTES[told.layout]
    flatbuffer.describe(model, f"{spec.description} {note}".strip(), told.model_dump_json())
    write_atomic(path, flatbuffer.pack(model))
    return told


def _converted(module: nn.Module, spec: ModelSpec, precision: Precision) -> bytes:
    inputs = example(spec, 1, module)
    wanted: Any = None
    try:
        with quiet():
            import litert_torch
            from litert_torch.quantize.quant_config import QuantConfig

            images = [i for i, part in enumerate(spec.input.inputs) if len(part.shape) == 3]
            if images:
                module = litert_torch.to_channel_last_io(module, args=images)
                inputs = tuple(
                    part.movedim(1, -1).contiguous() if number in images else part
                    for number, part in enumerate(inputs)
                )
            if precision == "int8":
                # Any quantizer that is not dynamic selects the converter's static QDQ mode.
                static = SimpleNamespace(global_config=SimpleNamespace(is_dynamic=False))
                wanted = QuantConfig(pt2e_quantizer=static)  # type: ignore[arg-type]
            converted = litert_torch.convert(module.eval(), inputs, quant_config=wanted)
            return converted.model_content()  # type: ignore[union-attr]
    except Exception as error:
        raise conversion_error(error, "TFLite") from error
