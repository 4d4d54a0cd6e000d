"""Export to TFLite with litert-torch: batch 1, NHWC, with the model's spec inside."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from torch import nn

from edgekd.export import flatbuffer, tflite_weights
from edgekd.export.baked import Baked, baked_spec, is_pixels, raw_example
from edgekd.export.deployed import Precision, deployed, example
from edgekd.export.failure import conversion_error
from edgekd.export.quiet import quiet
from edgekd.inputs import arguments
from edgekd.spec import DeployedSpec, ModelSpec
from edgekd.store import write_atomic

NOTES = {
    "NHWC": "Input: NHWC, normalised.",
    "NF": "Input: rows, normalised.",
    "NCT": "Input: channels, then time; normalised.",
}


def export_tflite(
    module: nn.Module,
    spec: ModelSpec,
    path: Path,
    *,
    precision: Precision,
    samples: Any = None,
    baked: bool = False,
) -> DeployedSpec:
    """Writes a TFLite file and returns what stands in its metadata: `converted`, then `write`.

    Args:
        module: for float32 and float16, a network in evaluation mode; for int8, what
            `edgekd.compress.quantize.convert(prepared, fold=False)` gives; for the others,
            `edgekd.compress.weights.round_weights(model, example)`, so that storing the weights as
            int8 adds no error.
        spec: names of input and output, shape, labels. An image's input is NHWC in the file.
        path: the file to write.
        precision: an int8 file takes and gives int8; the others have float32 at their ends.
        samples: for int16x8, normalised samples (N, *shape), or several inputs by name, that show
            the ranges of activations; a hundred are enough.
        baked: raw numbers in, probabilities out; see `edgekd.export.baked`. An int8 file then has
            these at its ends, and int8 in between. For float32 and int8.

    Raises:
        StageError: TFLite cannot express the network; the operator and its layer are named.
    """
    content = converted(module, spec, integers=precision == "int8", baked=baked)
    return write(content, spec, path, precision=precision, samples=samples, baked=baked)


def write(
    content: bytes,
    spec: ModelSpec,
    path: Path,
    *,
    precision: Precision,
    samples: Any = None,
    baked: bool = False,
) -> DeployedSpec:
    """Brings a converted network into a precision and writes it; see `export_tflite`.

    Args:
        content: what `converted` gave.
    """
    model = flatbuffer.parse(_in_precision(content, spec, precision, samples))
    return write_tflite(model, baked_spec(spec) if baked else spec, path, precision, baked)


def write_tflite(
    model: Any, spec: ModelSpec, path: Path, precision: Precision, baked: bool = False
) -> DeployedSpec:
    """Writes a converted model with the spec's names and the spec inside.

    Args:
        model: as `flatbuffer.parse` gives it, inputs in the spec's order.
    """
    *inputs, output = flatbuffer.end_quantizations(model)
    told = deployed(spec, "tflite", precision, inputs, output, baked=baked)
    flatbuffer.tidy(model, [part.name for part in spec.input.inputs], spec.output)
    note = "Input: raw numbers." if baked else NOTES[told.layout]
    flatbuffer.describe(model, f"{spec.description} {note}".strip(), told.model_dump_json())
    write_atomic(path, flatbuffer.pack(model))
    return told


def _in_precision(content: bytes, spec: ModelSpec, precision: Precision, samples: Any) -> bytes:
    """The float file in one of the precisions that are made of it; others as they are."""
    if precision == "float16":
        return tflite_weights.to_float16(content)
    if precision == "int8-weights":
        return tflite_weights.store_int8(content)
    if precision == "int8-dynamic":
        return tflite_weights.compute_int8(content)
    if precision == "int16x8":
        return tflite_weights.compute_int16x8(content, _feeds(spec, samples))
    return content


def _feeds(spec: ModelSpec, samples: Any) -> list[tflite_weights.Feed]:
    """Samples one by one, images channels last."""
    if samples is None:
        return []
    parts = []
    for part, array in zip(spec.input.inputs, arguments(samples), strict=True):
        values = np.asarray(array)
        parts.append(np.moveaxis(values, 1, -1) if len(part.shape) == 3 else values)
    return [[np.ascontiguousarray(part[i : i + 1]) for part in parts] for i in range(len(parts[0]))]


def converted(
    module: nn.Module, spec: ModelSpec, *, integers: bool = False, baked: bool = False
) -> bytes:
    """The TFLite file of a network as litert-torch writes it.

    Args:
        integers: `module` is a quantized graph (int8).
        baked: with preprocessing around it.

    Raises:
        StageError: TFLite cannot express the network; the operator and its layer are named.
    """
    inputs = raw_example(spec, 1) if baked else example(spec, 1, module)
    module = Baked(module, spec) if baked else module
    network, given = module, inputs
    wanted: Any = None
    try:
        with quiet():
            import litert_torch
            from litert_torch.quantize.quant_config import QuantConfig

            images = [
                number
                for number, part in enumerate(spec.input.inputs)
                # A baked file moves the channels of pixels itself, and sounds have none.
                if len(part.shape) == 3 and not (baked and (is_pixels(part) or part.sound))
            ]
            if images:
                module = litert_torch.to_channel_last_io(module, args=images)
                inputs = tuple(
                    part.movedim(1, -1).contiguous() if number in images else part
                    for number, part in enumerate(inputs)
                )
            if integers:
                # Any quantizer that is not dynamic selects the converter's static QDQ mode.
                static = SimpleNamespace(global_config=SimpleNamespace(is_dynamic=False))
                wanted = QuantConfig(pt2e_quantizer=static)  # type: ignore[arg-type]
            converted = litert_torch.convert(module.eval(), inputs, quant_config=wanted)
            return converted.model_content()  # type: ignore[union-attr]
    except Exception as error:
        raise conversion_error(error, "TFLite", network, given) from error
