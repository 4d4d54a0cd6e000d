"""Which processors and files ONNX Runtime's 16-bit sums concern."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import Tiny

from edgekd import doctor
from edgekd.devices import machine
from edgekd.runtimes.saturation import SAFE_WEIGHT, may_saturate, saturating, warning

OLD = ["sse4_1", "avx", "avx2", "fma"]


def int8_file(path, weight: np.ndarray):
    """A product with int8 weights, dequantized."""
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["real"]),
        helper.make_node("MatMul", ["x", "real"], ["y"]),
    ]
    constants = {"w": weight, "scale": np.float32(0.1)}
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, len(weight)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weight.shape[1]])],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("instructions", "concerned"),
    [
        (OLD, True),
        ([*OLD, "avx512f", "avx512bw"], True),
        ([*OLD, "avx_vnni"], False),
        ([*OLD, "avx512f", "avx512_vnni"], False),
        (["neon", "asimd"], False),
        (["sse4_1", "avx"], False),
    ],
)
def test_processors(instructions, concerned):
    assert saturating(instructions) == concerned


def test_the_largest_weight_that_is_safe():
    """By the arithmetic of VPMADDUBSW: two products of the largest uint8 in int16."""
    assert 2 * 255 * SAFE_WEIGHT <= np.iinfo(np.int16).max < 2 * 255 * (SAFE_WEIGHT + 1)
    assert SAFE_WEIGHT >= 63  # what weight_bits: 7 keeps to


def test_files(tmp_path):
    weight = np.full((4, 3), -SAFE_WEIGHT, np.int8)
    seven = int8_file(tmp_path / "seven.onnx", weight)
    weight[1, 2] = -SAFE_WEIGHT - 1
    eight = int8_file(tmp_path / "eight.onnx", weight)
    assert (may_saturate(seven), may_saturate(eight)) == (False, True)
    assert not may_saturate(Tiny().write(tmp_path, "onnx", "float32"))
    assert not may_saturate(Tiny().write(tmp_path, "tflite", "int8"))
    assert warning(seven, OLD) is None and warning(eight, [*OLD, "avx512_vnni"]) is None
    told = warning(eight, OLD)
    assert told is not None and "weight_bits: 7" in told and "edgekd has set it" in told
    told = warning(eight, OLD, exact=False)
    assert told is not None and "may be wrong here" in told


@pytest.mark.parametrize(("more", "fine"), [([], False), (["avx_vnni"], True)])
def test_the_doctor_tells_of_the_processor(monkeypatch, more, fine):
    here = machine.describe_machine().model_copy(update={"instructions": [*OLD, *more]})
    monkeypatch.setattr(machine, "describe_machine", lambda: here)
    (found,) = [check for check in doctor._hardware() if check.name == "int8"]
    assert (found.ok, found.optional) == (fine, True)
    assert fine or "weight_bits: 7" in found.fix
