"""Means over the picture as global pooling: ONNX Runtime has no integer kernel for ReduceMean."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekd.export.graph_nodes import constant, make_node

PICTURE = (2, 3)
"""Axes of height and width in (N, C, H, W)."""


def pool_means(model: Any) -> None:
    """Makes each quantized mean over height and width a GlobalAveragePool, in place.

    Without `keepdims` the two axes are taken away after the mean is quantized, because what only
    moves integers is not in the way of the fusion and a float operator would be.
    """
    import onnx
    from onnx import numpy_helper

    graph = model.graph
    ranks = _ranks(onnx.shape_inference.infer_shapes(model).graph)
    arrays = {i.name: i for i in graph.initializer}
    for node in list(graph.node):
        if node.op_type != "ReduceMean" or ranks.get(node.input[0]) != 4:
            continue
        given = arrays.get(node.input[1]) if len(node.input) > 1 else None
        users = [user for user in graph.node if node.output[0] in user.input]
        if given is None or [user.op_type for user in users] != ["QuantizeLinear"]:
            continue
        axes = sorted(int(axis) % 4 for axis in numpy_helper.to_array(given).reshape(-1))
        if tuple(axes) == PICTURE:
            _replace(graph, node, users[0])


def _ranks(graph: Any) -> dict[str, int]:
    values = (*graph.value_info, *graph.input, *graph.output)
    return {v.name: len(v.type.tensor_type.shape.dim) for v in values}


def _replace(graph: Any, mean: Any, quantize: Any) -> None:
    keeps = next((a.i for a in mean.attribute if a.name == "keepdims"), 1)
    place, end = list(graph.node).index(mean), mean.output[0]
    graph.node.remove(mean)
    if keeps:
        graph.node.insert(place, make_node("GlobalAveragePool", [mean.input[0]], end))
        return
    pooled, integers, real, axes = (f"{end}_{part}" for part in ("pool", "q", "dq", "axes"))
    constant(graph, axes, np.array(PICTURE, np.int64))
    parameters = list(quantize.input[1:])
    new = (
        make_node("GlobalAveragePool", [mean.input[0]], pooled),
        make_node("QuantizeLinear", [pooled, *parameters], integers),
        make_node("DequantizeLinear", [integers, *parameters], real),
        make_node("Squeeze", [real, axes], end),
    )
    for offset, node in enumerate(new):
        graph.node.insert(place + offset, node)
