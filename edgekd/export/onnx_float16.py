"""A float ONNX graph in half precision: weights and arithmetic, float32 at its ends."""

from __future__ import annotations

import logging
from typing import Any

LARGEST = 65504.0
"""Of a float16 (IEEE 754 binary16)."""


def to_float16(model: Any) -> Any:
    """The same network computing in float16; inputs and output stay float32.

    Operators for which ONNX has no half precision stay in float32 between casts. Weights beyond
    +-65504 become that, and weights too small for a float16 its smallest number.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    logger = logging.getLogger("onnxruntime.transformers.float16")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        half = convert_float_to_float16(model, keep_io_types=True)
    finally:
        logger.setLevel(level)
    _sort(half.graph)
    del half.graph.value_info[:]
    return half


def _sort(graph: Any) -> None:
    """Puts the nodes in an order in which they can be run, keeping theirs as far as possible: the
    conversion adds its casts at the end."""
    producers = {name: node for node in graph.node for name in node.output}
    done: set[str] = set()
    ordered: list[Any] = []
    for node in graph.node:
        waiting = [node]
        while waiting:
            top = waiting[-1]
            first = [
                producers[name]
                for name in top.input
                if name in producers and producers[name].output[0] not in done
            ]
            if first:
                waiting += first
                continue
            waiting.pop()
            if top.output[0] not in done:
                done.add(top.output[0])
                ordered.append(top)
    copies = []
    for node in ordered:
        copy = type(node)()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)
