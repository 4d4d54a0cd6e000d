"""What stays in float in an int8 file, as the runtimes see it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from edgekd.given.stayed import in_float, optimised

FLOAT32 = 0
"""Of TFLite's TensorType."""
ENDS = ("QuantizeLinear", "DequantizeLinear")


def tflite_operators(path: Path) -> tuple[int, Counter[str]]:
    """Operators of a TFLite file, and those that read or write float numbers, by name."""
    from ai_edge_litert import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model: Any = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    found: Counter[str] = Counter()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        tensors = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
        if any(graph.tensors[i].type == FLOAT32 for i in tensors):
            found[names[max(code.builtinCode, code.deprecatedBuiltinCode)]] += 1
    return len(graph.operators), found


def onnx_left(path: Path) -> tuple[int, Counter[str]]:
    """Q/DQ operators that ONNX Runtime's optimised graph still has, and what computes in float
    between them, by name.

    What changes the type of the input and of the output does not count.
    """
    with tempfile.TemporaryDirectory() as folder:
        graph = optimised(path, Path(folder)).graph
    made_by = {name: node for node in graph.node for name in node.output}
    used_by = {name: node for node in graph.node for name in node.input}
    outside = {value.name for value in (*graph.input, *graph.output)}
    pairs = 0
    for node in graph.node:
        if node.op_type in ENDS:
            # int8 outside, uint8 inside: each end is a pair that makes the one of the other.
            near = (made_by.get(node.input[0]), node, used_by.get(node.output[0]))
            names = {
                name for n in near if n is not None and n.op_type in ENDS for name in touched(n)
            }
            pairs += not (outside & names)
    return pairs, in_float(graph)


def touched(node: Any) -> tuple[str, str]:
    """The tensor that a Q or DQ operator takes, and the one that it makes."""
    return node.input[0], node.output[0]
