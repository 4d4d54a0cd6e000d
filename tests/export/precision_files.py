"""Files of every precision, and readers of what they hold: onnx and the flatbuffer schema alone."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from export_nets import networks, samples, spec_of
from onnx import numpy_helper

from edgekd.stages.export_files import Variant, Writer, variants

MADE = ("float32", "float16", "int8-weights", "int8-dynamic", "int16x8")


class File(NamedTuple):
    path: Path
    told: object
    variant: Variant


@functools.cache
def files(name: str, folder: Path) -> dict[tuple[str, str], File]:
    """Every precision (first) in every format (second) that has it, of a network as the export
    stage writes it."""
    model, _ = networks(name)
    spec = spec_of(name)
    x = samples(name).numpy()
    writer = Writer(spec, lambda: x[:16])
    made = {}
    for variant in variants(MADE, False, model, spec, folder):
        for form in ("onnx", "tflite"):
            if (form, variant.precision) == ("onnx", "int16x8"):
                continue
            path = folder / f"{name}-{variant.precision}.{form}"
            made[variant.precision, form] = File(path, writer.write(form, variant, path), variant)
    return made


def expected(variant: Variant, name: str) -> np.ndarray:
    """Torch's answers to `samples`."""
    with torch.no_grad():
        return variant.reference(samples(name)).numpy()


def onnx_weights(path: Path) -> dict[str, np.ndarray]:
    """The constants of an ONNX file by name."""
    graph = onnx.load(path).graph
    return {i.name: numpy_helper.to_array(i) for i in graph.initializer}


class TfliteWeight(NamedTuple):
    integers: np.ndarray
    scale: np.ndarray
    axis: int


def tflite_weights(path: Path) -> list[TfliteWeight]:
    """The int8 constants of a TFLite file with more than one axis."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    found = []
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is None or tensor.type != schema.TensorType.INT8 or len(tensor.shape) < 2:
            continue
        integers = np.frombuffer(bytes(data), np.int8).reshape(tensor.shape)
        told = tensor.quantization
        assert not np.any(told.zeroPoint)
        found.append(TfliteWeight(integers, np.asarray(told.scale), told.quantizedDimension))
    return found


def tflite_operators(path: Path) -> list[int]:
    """Builtin codes of a TFLite file's operators."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    return [model.operatorCodes[o.opcodeIndex].builtinCode for o in model.subgraphs[0].operators]
