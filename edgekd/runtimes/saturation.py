"""Int8 sums of ONNX Runtime that may saturate, on processors without an int8 dot product.

On x86-64 with AVX2 and no VNNI, ONNX Runtime's kernels multiply uint8 by int8 with VPMADDUBSW,
which adds two products in saturating 16 bits: 2 * 255 * |weight| must not go beyond 32767, so
weights up to 64 are safe. It computes exactly where its option `session.x64quantprecision` is set.
Arm is not concerned, and LiteRT neither.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

DOT_PRODUCTS = frozenset({"avx_vnni", "avx512_vnni", "amx_int8"})
"""Instruction sets that add four products of int8 in 32 bits."""
SAFE_WEIGHT = 32767 // (2 * 255)


def saturating(instructions: Collection[str]) -> bool:
    """Whether ONNX Runtime's int8 kernels may saturate on a processor with these."""
    return "avx2" in instructions and not DOT_PRODUCTS & set(instructions)


def may_saturate(path: Path) -> bool:
    """Whether an .onnx file has int8 weights beyond those that are safe; files of other kinds pass.

    Raises:
        StageError: it cannot be read.
    """
    if path.suffix.lower() != ".onnx":
        return False
    from onnx import TensorProto, numpy_helper

    from edgekd.runtimes.check_onnx import read_onnx

    for tensor in read_onnx(path).graph.initializer:
        matrix = tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1
        outside = tensor.data_location == TensorProto.EXTERNAL
        if matrix and not outside:
            values = numpy_helper.to_array(tensor).astype(np.int16)
            if values.size and int(np.abs(values).max()) > SAFE_WEIGHT:
                return True
    return False


def warning(path: Path, instructions: Collection[str], *, exact: bool = True) -> str | None:
    """What the user should know of a file on a processor; None where all is well.

    Args:
        exact: whether ONNX Runtime took the file with `session.x64quantprecision`.
    """
    if not saturating(instructions) or not may_saturate(path):
        return None
    here = (
        "here edgekd has set it, and an app must, too"
        if exact
        else "and it does not take this file so: answers may be wrong here"
    )
    return (
        "the processor has AVX2 and no int8 dot product (VNNI), where ONNX Runtime's int8 sums "
        f"saturate at 16 bits unless session.x64quantprecision is 1; {here}. "
        "quantize.weight_bits: 7 makes files that cannot saturate, at some accuracy"
    )
