"""How large an ONNX graph is, and how much it computes, counted as of torch networks."""

from __future__ import annotations

import math
from typing import Any


def parameters(graph: Any) -> int:
    """Floating-point numbers that the graph stores, in initializers and constants.

    Normalisation that an exporter has folded into the layer before it is not counted any more.
    """
    import onnx

    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    stored = list(graph.initializer)
    stored += [
        attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    return sum(math.prod(tensor.dims) for tensor in stored if tensor.data_type in floats)


def macs(model: Any, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one inference in convolutions and in products with stored matrices.

    Args:
        model: its one input takes (N, *shape).

    Returns:
        0 where shapes are not known after ONNX's shape inference.
    """
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    stored = {initializer.name: tuple(initializer.dims) for initializer in copy.graph.initializer}
    source = next(value for value in copy.graph.input if value.name not in stored)
    for dimension, size in zip(source.type.tensor_type.shape.dim, (1, *shape), strict=True):
        dimension.ClearField("dim_param")
        dimension.dim_value = size
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    del copy.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(copy, data_prop=True).graph
    shapes = dict(stored)
    for value in (*graph.input, *graph.value_info, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.name not in stored and all(d.HasField("dim_value") for d in dimensions):
            shapes[value.name] = tuple(d.dim_value for d in dimensions)
    total = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        weight = shapes.get(node.input[1])
        spread = shapes.get(node.input[0] if node.op_type == "ConvTranspose" else node.output[0])
        if weight is None or spread is None:
            return 0
        total += math.prod(spread) * _summed(node, weight)
    return total


def _summed(node: Any, weight: tuple[int, ...]) -> int:
    """How many products each output sums; of a transposed convolution, each input spreads."""
    if node.op_type in ("Conv", "ConvTranspose"):
        return math.prod(weight[1:])
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return weight[-1] if transposed else weight[-2]
