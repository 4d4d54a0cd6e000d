"""Int8 weights in a float ONNX graph: dequantized in it, or multiplied as integers.

The weights of a network whose weights are already rounded (`edgekd.compress.weights`) are stored
without any further error: each output channel's scale is its largest magnitude / 127.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
"""Of a weight: -128 is not used ("LiteRT 8-bit quantization specification")."""


@dataclass(frozen=True)
class Weighted:
    """A node with a constant weight, and where the weight's output channels are."""

    node: Any
    weight: NDArray[np.float32]
    axis: int


def store_int8(graph: Any) -> int:
    """Stores the weights of convolutions and matrix products as int8, each before a
    DequantizeLinear with one scale per output channel; the graph computes in float32 as before.

    Returns:
        How many weights it were.
    """
    from onnx import helper

    found = weighted(graph)
    for number, one in enumerate(found):
        integers, scale = rounded(one.weight, one.axis)
        name = f"weight{number}"
        _add(graph, f"{name}_int8", integers)
        _add(graph, f"{name}_scale", scale)
        # ONNX Runtime writes a scalar in where there is none, and then does not run the node.
        _add(graph, f"{name}_zero", np.zeros(len(scale), np.int8))
        inputs = [f"{name}_int8", f"{name}_scale", f"{name}_zero"]
        node = helper.make_node("DequantizeLinear", inputs, [name], name=name, axis=one.axis)
        _insert(graph, one.node, [node])
        one.node.input[1] = name
    _drop_unused(graph)
    return len(found)


def compute_int8(graph: Any) -> int:
    """Makes convolutions and matrix products integer ones: int8 weights, and activations that
    DynamicQuantizeLinear rounds to uint8 by their own range while the network runs.

    Real values are (activation - zero point) x weight, in int32, times both scales, plus the float
    bias. One range is taken of a whole tensor: the graph must be run sample by sample.

    Returns:
        How many operators it were.
    """
    dynamic: dict[str, list[str]] = {}
    found = weighted(graph)
    for number, one in enumerate(found):
        _as_integers(graph, one, number, dynamic)
    _drop_unused(graph)
    return len(found)


def one_sample(graph: Any) -> None:
    """Fixes the batch of inputs and outputs at 1."""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def weighted(graph: Any) -> list[Weighted]:
    """Conv, and Gemm and MatMul whose second input is a float32 constant."""
    from onnx import numpy_helper

    arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weight = arrays.get(node.input[1])
        if weight is None or weight.dtype != np.float32 or weight.ndim < 2:
            continue
        if node.op_type == "Gemm" and not _plain(node):
            continue
        axis = 0 if node.op_type == "Conv" or _transposed(node) else weight.ndim - 1
        found.append(Weighted(node, weight, axis))
    return found


def rounded(weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The integers of a weight and the scale (C,) of each channel of `axis`; 1 where all are 0."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = np.abs(weight).max(axis=others).astype(np.float32) / np.float32(LARGEST)
    scale[scale == 0] = 1.0
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    integers = np.clip(np.rint(weight / scale.reshape(shape)), -LARGEST, LARGEST)
    return integers.astype(np.int8), scale


def _as_integers(graph: Any, one: Weighted, number: int, dynamic: dict[str, list[str]]) -> None:
    from onnx import TensorProto, helper

    node, name = one.node, f"weight{number}"
    integers, scale = rounded(one.weight, one.axis)
    new = []
    source = node.input[0]
    if source not in dynamic:
        dynamic[source] = [f"dynamic{len(dynamic)}_{part}" for part in ("x", "scale", "zero")]
        new.append(helper.make_node("DynamicQuantizeLinear", [source], dynamic[source]))
    x, x_scale, x_zero = dynamic[source]
    convolution = node.op_type == "Conv"
    if _transposed(node):
        integers = np.ascontiguousarray(integers.T)
    shape = (-1, *[1] * (one.weight.ndim - 2)) if convolution else (-1,)
    _add(graph, f"{name}_int8", integers)
    _add(graph, f"{name}_scale", scale.reshape(shape))
    kept = {a.name: helper.get_attribute_value(a) for a in node.attribute} if convolution else {}
    kind = "ConvInteger" if convolution else "MatMulInteger"
    new.append(helper.make_node(kind, [x, f"{name}_int8", x_zero], [f"{name}_sum"], **kept))
    new.append(helper.make_node("Cast", [f"{name}_sum"], [f"{name}_float"], to=TensorProto.FLOAT))
    new.append(helper.make_node("Mul", [x_scale, f"{name}_scale"], [f"{name}_scales"]))
    has_bias = len(node.input) > 2 and bool(node.input[2])
    end = f"{name}_real" if has_bias else node.output[0]
    new.append(helper.make_node("Mul", [f"{name}_float", f"{name}_scales"], [end]))
    if has_bias:
        bias = _array(graph, node.input[2])
        _add(graph, f"{name}_bias", bias.reshape(shape))
        new.append(helper.make_node("Add", [end, f"{name}_bias"], [node.output[0]]))
    for part in new:
        part.name = part.output[0]
    _insert(graph, node, new)
    graph.node.remove(node)


def _plain(node: Any) -> bool:
    """Whether a Gemm computes x W (+ b) or x W' (+ b), and nothing more."""
    told = {a.name: (a.i if a.type == a.INT else a.f) for a in node.attribute}
    return told.get("alpha", 1.0) == 1 and told.get("beta", 1.0) == 1 and not told.get("transA", 0)


def _transposed(node: Any) -> bool:
    return node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)


def _insert(graph: Any, before: Any, nodes: list[Any]) -> None:
    place = next(i for i, node in enumerate(graph.node) if node is before or node == before)
    for offset, node in enumerate(nodes):
        graph.node.insert(place + offset, node)


def _array(graph: Any, name: str) -> NDArray[Any]:
    from onnx import numpy_helper

    return next(numpy_helper.to_array(i) for i in graph.initializer if i.name == name)


def _add(graph: Any, name: str, value: NDArray[Any]) -> None:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [i for i in graph.initializer if i.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
