"""Small additions to an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

PREFIX = "edgekd_"
"""Of everything that is added to somebody's graph."""


def make_node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    """A node that is called as its output."""
    import onnx

    return onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)


def add_node(graph: Any, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
    """Puts a node at the end of the graph."""
    graph.node.extend([make_node(operator, inputs, output, **attributes)])


def constant(graph: Any, name: str, value: Any) -> None:
    """Stores an array in the graph."""
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def value_info(name: str, shape: list[Any]) -> Any:
    """A float32 input or output; text in `shape` is an open axis."""
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
