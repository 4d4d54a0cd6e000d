"""What of an int8 ONNX file still computes in float, once ONNX Runtime has fused what it can."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from edgekd.errors import StageError

MOVES = frozenset(
    ("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Shape", "Gather")
) | frozenset(("Cast", "Concat", "Slice", "Constant", "ConstantOfShape", "Expand", "Split", "Pad"))
"""They compute nothing, whatever the type of what they move."""
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def float_kernels(path: Path, folder: Path) -> Counter[str]:
    """Operators of ONNX Runtime's optimised graph that compute in float, by type.

    Args:
        folder: where the optimised graph is written.

    Raises:
        StageError: ONNX Runtime cannot load the file.
    """
    return in_float(optimised(path, folder).graph)


def in_float(graph: Any) -> Counter[str]:
    """Operators of an optimised graph that compute in float, by type."""
    real = _real_tensors(graph)
    found: Counter[str] = Counter()
    for node in graph.node:
        if (
            node.op_type.startswith("QLinear")
            or node.op_type in (*MOVES, *QUANTIZERS)
            or _integer(node)
        ):
            continue
        if any(name in real for name in (*node.input, *node.output)):
            found[node.op_type] += 1
    return found


def _integer(node: Any) -> bool:
    return node.op_type.endswith("Integer") or node.op_type in ("QGemm", "QAttention")


def _real_tensors(graph: Any) -> set[str]:
    """Names of tensors that are float: what is dequantized, and what is made of that."""
    import onnx

    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
    real = {value.name for value in graph.input if value.type.tensor_type.elem_type in floats}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" or (
            node.op_type not in (*QUANTIZERS, "Shape")
            and not node.op_type.startswith("QLinear")
            and any(name in real for name in node.input)
        ):
            real |= set(node.output)
    return real


def optimised(path: Path, folder: Path) -> Any:
    """The model as ONNX Runtime computes it on this processor, which it writes into `folder`.

    Raises:
        StageError: ONNX Runtime cannot load the file.
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    try:
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes share no public base
        raise StageError("ONNX Runtime cannot load the int8 file.", where=f"{error}") from error
    return onnx.load(options.optimized_model_filepath)
