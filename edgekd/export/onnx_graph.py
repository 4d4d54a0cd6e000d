"""Changes of an exported ONNX graph: no metadata, int32 biases, no clamps, integer ends.

An exported int8 graph has QuantizeLinear and DequantizeLinear around float operators (QDQ), which
the runtime fuses into integer operators.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.spec import Quantization

OFFSET = 128  # between the same number as int8 and as uint8


def strip(model: Any) -> None:
    """Removes what is only of use to whoever debugs the exporter."""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    model.graph.name = "main"
    model.graph.doc_string = ""
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    for initializer in model.graph.initializer:
        del initializer.metadata_props[:]
        initializer.doc_string = ""


def quantize_biases(graph: Any) -> None:
    """Makes each bias int32 with the scale input x weight, as the integer kernels add it."""
    from onnx import helper

    arrays = _initializers(graph)
    producers = {name: node for node in graph.node for name in node.output}
    for node in list(graph.node):
        if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3:
            continue
        source, weight = producers.get(node.input[0]), producers.get(node.input[1])
        bias = arrays.get(node.input[2])
        if source is None or weight is None or bias is None:
            continue
        if not source.op_type == weight.op_type == "DequantizeLinear":
            continue
        scale = (arrays[source.input[1]] * arrays[weight.input[1]]).astype(np.float32)
        limits = np.iinfo(np.int32)
        integers = np.clip(np.rint(bias / scale), limits.min, limits.max).astype(np.int32)
        name = f"{node.output[0]}_bias"
        _add(graph, f"{name}_quantized", integers)
        _add(graph, f"{name}_scale", np.broadcast_to(scale, bias.shape).copy())
        inputs = [f"{name}_quantized", f"{name}_scale"]
        dequantize = helper.make_node("DequantizeLinear", inputs, [name], axis=0)
        graph.node.insert(list(graph.node).index(node), dequantize)
        node.input[2] = name
    _drop_unused(graph)


def own_weights(graph: Any) -> None:
    """Gives each use of a quantized weight a dequantizer, a weight and a zero point of its own.

    ONNX Runtime on x86-64 without VNNI turns int8 weights into uint8 ones. It cannot load a file in
    which two layers share what it replaces, and then computes with saturating sums. A layer that is
    called twice is stored twice for that.
    """
    arrays = _initializers(graph)
    for node in list(graph.node):
        if node.op_type != "DequantizeLinear" or node.input[0] not in arrays:
            continue
        users = [(u, i) for u in graph.node for i, n in enumerate(u.input) if n == node.output[0]]
        for number, (user, place) in enumerate(users[1:], start=1):
            again = type(node)()
            again.CopyFrom(node)
            again.name = again.output[0] = f"{node.output[0]}_use{number}"
            graph.node.insert(list(graph.node).index(node), again)
            user.input[place] = again.output[0]
    uses: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in arrays:
            continue
        for place in (0, 2):
            shared = node.input[place] if len(node.input) > place else ""
            if not shared:
                continue
            if uses[shared]:
                node.input[place] = f"{shared}_use{uses[shared]}"
                _add(graph, node.input[place], arrays[shared])
            uses[shared] += 1


def drop_clamps(graph: Any) -> None:
    """Removes each Relu and Clip that the following QuantizeLinear does as well by saturating."""
    arrays = _initializers(graph)
    for node in list(graph.node):
        if node.op_type not in ("Relu", "Clip"):
            continue
        users = [n for n in graph.node if node.output[0] in n.input]
        if all(_saturates(user, node, arrays) for user in users):
            for user in users:
                user.input[0] = node.input[0]
            graph.node.remove(node)
    _drop_unused(graph)


def _saturates(user: Any, clamp: Any, arrays: dict[str, NDArray[Any]]) -> bool:
    """Whether `user` quantizes to no more integers than those between the limits of `clamp`."""
    if user.op_type != "QuantizeLinear":
        return False
    limits: list[float] = [0.0, np.inf]
    if clamp.op_type == "Clip":
        given = [*clamp.input[1:], "", ""][:2]
        if any(name and name not in arrays for name in given):
            return False
        limits = [-np.inf, np.inf]
        limits = [float(arrays[n]) if n else e for n, e in zip(given, limits, strict=True)]
    scale, zero_point = arrays[user.input[1]], arrays[user.input[2]]
    low, high = (np.rint(limit / scale) + int(zero_point) for limit in limits)
    representable = np.iinfo(zero_point.dtype)
    return bool(low <= representable.min and high >= representable.max)


def integer_ends(graph: Any) -> tuple[list[Quantization | None], Quantization]:
    """Makes inputs and output int8 tensors, and activations in between uint8.

    ONNX Runtime on x86-64 has kernels for uint8 x int8, and changes a file's int8 activations
    to uint8 only where a tensor has one consumer, which leaves residual networks half in float.

    Returns:
        The quantization of each input, None for codes, which stay int32; and the output's.
    """
    from onnx import TensorProto, helper

    arrays = _initializers(graph)
    inputs = [_input_quantization(graph, value, arrays) for value in graph.input]
    last = next(n for n in graph.node if graph.output[0].name in n.output)
    output = _quantization(last, arrays)
    _activations_to_uint8(graph, arrays)
    # float input -> Q becomes int8 input -> DQ -> Q, and DQ -> output becomes DQ -> Q -> output.
    for number, (value, quantization) in enumerate(zip(graph.input, inputs, strict=True)):
        if quantization is None:
            continue
        inner = f"{value.name}_real"
        parameters = _parameters(graph, f"input{number}", quantization)
        for node in graph.node:
            node.input[:] = [inner if i == value.name else i for i in node.input]
        start = helper.make_node("DequantizeLinear", [value.name, *parameters], [inner])
        graph.node.insert(0, start)
        value.type.tensor_type.elem_type = TensorProto.INT8
    name = graph.output[0].name
    outer = f"{name}_real"
    last.output[:] = [outer]
    parameters = _parameters(graph, "output", output)
    graph.node.append(helper.make_node("QuantizeLinear", [outer, *parameters], [name]))
    graph.output[0].type.tensor_type.elem_type = TensorProto.INT8
    return inputs, output


def unsigned_activations(graph: Any) -> None:
    """Makes activations uint8 and leaves the ends as they are; see `integer_ends`."""
    _activations_to_uint8(graph, _initializers(graph))


def _parameters(graph: Any, end: str, quantization: Quantization) -> list[str]:
    names = [f"{end}_scale", f"{end}_zero_point"]
    _add(graph, names[0], np.array(quantization.scale, np.float32))
    _add(graph, names[1], np.array(quantization.zero_point, np.int8))
    return names


def _input_quantization(
    graph: Any, value: Any, arrays: dict[str, NDArray[Any]]
) -> Quantization | None:
    from onnx import TensorProto

    if value.type.tensor_type.elem_type != TensorProto.FLOAT:
        return None
    # Another reader may be a Shape, where a network asks how many samples there are.
    readers = (n for n in graph.node if value.name in n.input)
    return _quantization(next(n for n in readers if n.op_type == "QuantizeLinear"), arrays)


def _quantization(node: Any, arrays: dict[str, NDArray[Any]]) -> Quantization:
    scale, zero_point = arrays[node.input[1]], arrays[node.input[2]]
    return Quantization(scale=float(scale), zero_point=int(zero_point))


def _activations_to_uint8(graph: Any, arrays: dict[str, NDArray[Any]]) -> None:
    """Shifts every activation's zero point; weights keep theirs (their zero points are 0)."""
    taken: set[str] = set()
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3:
            continue
        constant = node.input[0] in arrays
        if constant and node.op_type == "DequantizeLinear" and arrays[node.input[1]].ndim:
            # ONNX Runtime changes them in place on processors without VNNI, and does not load a
            # file in which two layers share one.
            if node.input[2] in taken:
                own = f"zero{len(taken)}"
                _add(graph, own, arrays[node.input[2]])
                node.input[2] = own
            taken.add(node.input[2])
            continue
        zero_point = arrays[node.input[2]]
        node.input[2] = _uint8(graph, arrays, node.input[2], zero_point)
        if constant and node.op_type == "DequantizeLinear":
            node.input[0] = _uint8(graph, arrays, node.input[0], arrays[node.input[0]])
    _drop_unused(graph)


def _uint8(graph: Any, arrays: dict[str, NDArray[Any]], name: str, value: NDArray[Any]) -> str:
    shifted = f"{name}_uint8"
    if shifted not in arrays:
        arrays[shifted] = (value.astype(np.int16) + OFFSET).astype(np.uint8)
        _add(graph, shifted, arrays[shifted])
    return shifted


def _initializers(graph: Any) -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    return {i.name: numpy_helper.to_array(i) for i in graph.initializer}


def _add(graph: Any, name: str, value: NDArray[Any]) -> None:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [i for i in graph.initializer if i.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
