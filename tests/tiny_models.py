"""Linear classifiers of a few hundred bytes, written without any exporter.

`Tiny` holds weights for channels-first inputs; its files compute the same in both formats, so that
numpy's matrix product is the reference for everything that runs deployed files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekd.spec import METADATA_NAME, DeployedSpec, InputSpec, ModelSpec, Quantization

INPUT = Quantization(scale=0.05, zero_point=3)
OUTPUT = Quantization(scale=0.1, zero_point=-5)


class Tiny:
    """logits = W flatten(x) + b for x of `shape` (C, H, W) or (F,)."""

    def __init__(
        self,
        shape: tuple[int, ...] = (2, 2, 3),
        classes: int = 4,
        mean: float = 0.0,
        std: float = 1.0,
        peak: float | None = None,
    ):
        generator = np.random.default_rng(5)
        self.shape = shape
        self.weight = generator.normal(size=(classes, int(np.prod(shape)))).astype(np.float32)
        self.bias = generator.normal(size=classes).astype(np.float32)
        self.spec = ModelSpec(
            name="tiny",
            input=InputSpec(
                kind="image" if len(shape) == 3 else "row",
                shape=shape,
                mean=(mean,) * shape[0],
                std=(std,) * shape[0],
                peak=peak,
            ),
            labels=tuple(f"class{i}" for i in range(classes)),
        )

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The reference, in float64."""
        flat = x.reshape(len(x), -1).astype(np.float64)
        return flat @ self.weight.T.astype(np.float64) + self.bias

    def samples(self, n: int, seed: int = 1) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(n, *self.shape)).astype(np.float32)

    def deployed(self, form: str, precision: str) -> DeployedSpec:
        image = "NHWC" if form == "tflite" else "NCHW"
        return DeployedSpec(
            model=self.spec,
            format=form,  # type: ignore[arg-type]
            precision=precision,  # type: ignore[arg-type]
            layout=image if len(self.shape) == 3 else "NF",  # type: ignore[arg-type]
            input_quantization=INPUT if precision == "int8" else None,
            output_quantization=OUTPUT if precision == "int8" else None,
        )

    def write(self, folder: Path, form: str, precision: str, text: str | None = "spec") -> Path:
        """A file with the spec as metadata, with other text instead, or with none (None)."""
        if text == "spec":
            text = self.deployed(form, precision).model_dump_json()
        path = folder / f"{precision}.{form}"
        write = write_onnx if form == "onnx" else write_tflite
        write(self, path, precision == "int8", text)
        return path


def write_onnx(tiny: Tiny, path: Path, int8: bool, text: str | None) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.INT8 if int8 else TensorProto.FLOAT
    constants = {"w": tiny.weight.T.copy(), "b": tiny.bias}
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["y"]),
    ]
    if int8:
        for end, scale in (("in", INPUT), ("out", OUTPUT)):
            constants[f"{end}_scale"] = np.float32(scale.scale)
            constants[f"{end}_zero"] = np.int8(scale.zero_point)
        first = helper.make_node("DequantizeLinear", ["input", "in_scale", "in_zero"], ["x"])
        last = helper.make_node("QuantizeLinear", ["y", "out_scale", "out_zero"], ["logits"])
        nodes = [first, *nodes, last]
    else:
        nodes[0].input[0], nodes[-1].output[0] = "input", "logits"
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", kind, ["batch", *tiny.shape])],
        [helper.make_tensor_value_info("logits", kind, ["batch", len(tiny.bias)])],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if text is not None:
        helper.set_model_props(model, {METADATA_NAME: text})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def write_tflite(tiny: Tiny, path: Path, int8: bool, text: str | None) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    weight = tiny.weight.reshape(-1, *tiny.shape)
    shape = tiny.shape
    if len(shape) == 3:
        weight, shape = np.moveaxis(weight, 1, -1), (*shape[1:], shape[0])
    weight = weight.reshape(len(tiny.bias), -1)
    types = schema.TensorType
    real = types.INT8 if int8 else types.FLOAT32
    scale = float(np.abs(weight).max() / 127)
    bias_scale = scale * INPUT.scale
    constants: list[Any] = [weight, tiny.bias]
    if int8:
        constants = [
            np.rint(weight / scale).astype(np.int8),
            np.rint(tiny.bias / bias_scale).astype(np.int32),
        ]

    def tensor(name: str, size: tuple[int, ...], kind: int, buffer: int, s: float, zero: int):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(size), kind, buffer
        if int8:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [s], [zero]
        return made

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4 if int8 else 1
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("input", (1, *shape), real, 0, INPUT.scale, INPUT.zero_point),
        tensor("w", weight.shape, real, 1, scale, 0),
        tensor("b", tiny.bias.shape, types.INT32 if int8 else real, 2, bias_scale, 0),
        tensor("logits", (1, len(tiny.bias)), real, 0, OUTPUT.scale, OUTPUT.zero_point),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [3], [operator]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    contents = [None, *(value.tobytes() for value in constants)]
    model.metadata = [_entry(schema, "min_runtime_version", 3)]
    contents.append(b"1.5.0")
    if text is not None:
        model.metadata.append(_entry(schema, METADATA_NAME, 4))
        contents.append(text.encode())
    model.buffers = []
    for content in contents:
        buffer = schema.BufferT()
        buffer.data = None if content is None else np.frombuffer(content, np.uint8)
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def _entry(schema: Any, name: str, buffer: int) -> Any:
    made = schema.MetadataT()
    made.name, made.buffer = name, buffer
    return made
