"""float16, int8-weights, int8-dynamic and int16x8: what the files hold, and what they answer."""

from __future__ import annotations

from typing import get_args

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert.schema_py_generated import BuiltinOperator
from export_nets import networks, run_onnx, run_tflite, samples, spec_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx.reference import ReferenceEvaluator
from precision_files import (
    expected,
    files,
    onnx_weights,
    tflite_operators,
    tflite_weights,
)
from pydantic import ValidationError

from edgekd.compress.weights import round_weights, rounded, rounded_by_sample
from edgekd.config.pipeline import Pipeline
from edgekd.config.stages import ExportSettings
from edgekd.errors import StageError
from edgekd.export import onnx_file, onnx_int8
from edgekd.export.parity import check, compare
from edgekd.export.tflite_weights import compute_int16x8
from edgekd.spec import Precision

NAMES = ("mobile",)
numbers = st.floats(-1e3, 1e3, width=32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precisions")
    return {name: files(name, folder) for name in NAMES}


@given(arrays(np.float32, (3, 4), elements=numbers))
@settings(max_examples=60, deadline=None)
def test_a_rounded_weight_is_within_half_a_step(weight):
    made = rounded(torch.from_numpy(weight)).numpy()
    scale = np.abs(weight).max(1, keepdims=True).astype(np.float64) / 127
    assert np.all(np.abs(made - weight) <= scale * (0.5 + 1e-4) + 1e-30)
    steps = np.divide(made, scale, where=scale > 1e-30, out=np.zeros_like(made, np.float64))
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


@given(arrays(np.float32, (2, 3, 4), elements=numbers))
@settings(max_examples=60, deadline=None)
def test_inputs_are_rounded_as_the_onnx_operator_does(x):
    node = onnx.helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "scale", "zero"])
    operator = ReferenceEvaluator(node)
    made = rounded_by_sample(torch.from_numpy(x)).numpy()
    for sample, answer in zip(x, made, strict=True):
        y, scale, zero = operator.run(None, {"x": sample})
        if scale > 1e-30:
            real = (y.astype(np.float64) - float(zero)) * float(scale)
            assert np.abs(answer - real).max() <= scale * 1.001  # a tie may go either way


def test_the_linear_layers_of_a_rounded_network_by_hand():
    model, _ = networks("mobile")
    graph = round_weights(model, samples("mobile")[:2])
    weight = model.state_dict()["classifier.weight"].double().numpy()
    scale = np.abs(weight).max(1, keepdims=True) / 127
    by_hand = np.clip(np.rint(weight / scale), -127, 127) * scale
    made = graph.state_dict()["classifier.weight"].double().numpy()
    assert np.abs(made - by_hand).max() < 1e-6
    assert np.abs(made - weight).max() > 1e-4  # it was not on the grid before
    state = {k: v.double().numpy() for k, v in model.state_dict().items()}
    gain = state["norm.weight"] / np.sqrt(state["norm.running_var"] + model.norm.eps)
    stem = state["stem.weight"] * gain.reshape(-1, 1, 1, 1)
    scale = np.abs(stem).max((1, 2, 3), keepdims=True) / 127
    by_hand = np.clip(np.rint(stem / scale), -127, 127) * scale
    inside = [v.double().numpy() for v in graph.state_dict().values() if v.shape == stem.shape]
    assert min(np.abs(each - by_hand).max() for each in inside) < 1e-6


def answers(file, form, x):
    """What the runtime says, called directly; a file for one sample at a time gets one."""
    if form == "tflite":
        return run_tflite(file.path, x, file.told)
    fixed = onnx.load(file.path).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    assert fixed == (file.variant.precision == "int8-dynamic")
    parts = np.split(x, len(x)) if fixed else [x]
    return np.concatenate([run_onnx(file.path, part, file.told) for part in parts])


MOST_STEPS = {"float16": 0.3, "int8-weights": 0.01, "int8-dynamic": 2.0, "int16x8": 0.3}
"""Largest difference from torch, in steps of an int8 output."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", list(MOST_STEPS))
@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_a_file_runs_and_answers_like_torch(made, name, precision, form):
    if (form, precision) == ("onnx", "int16x8"):
        assert (precision, form) not in made[name]
        return
    file = made[name][precision, form]
    x, wanted = (part[:397] for part in (samples(name).numpy(), expected(file.variant, name)))
    got = answers(file, form, x)
    step = (max(wanted.max(), 0) - min(wanted.min(), 0)) / 255
    assert got.dtype == np.float32
    assert np.abs(got - wanted).max() <= MOST_STEPS[precision] * step
    check(compare(wanted, got, step), pair="torch/file", precision=precision)
    assert file.told.precision == precision
    assert file.told.input_quantization is None
    assert file.told.output_quantization is None


def test_float16_files_hold_the_nearest_float16(made):
    whole = onnx_weights(made["mobile"]["float32", "onnx"].path)
    half = onnx_weights(made["mobile"]["float16", "onnx"].path)
    heavy = {name for name, value in whole.items() if value.size > 8}
    assert len(heavy) >= 5
    for name in heavy:
        assert half[name].dtype == np.float16
        assert np.array_equal(half[name], whole[name].astype(np.float16))
    ends = onnx.load(made["mobile"]["float16", "onnx"].path).graph
    for end in (ends.input[0], ends.output[0]):
        assert end.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_int8_weights_are_those_of_the_rounded_network(made):
    """Both formats, against numpy's rounding of the float32 file's weights."""
    whole = onnx_weights(made["mobile"]["float32", "onnx"].path)
    graph = onnx.load(made["mobile"]["int8-weights", "onnx"].path).graph
    stored = onnx_weights(made["mobile"]["int8-weights", "onnx"].path)
    back = {n.output[0]: n for n in graph.node if n.op_type == "DequantizeLinear"}
    convolutions = [n for n in graph.node if n.op_type in ("Conv", "Gemm")]
    by_shape: dict[tuple, list] = {}
    for value in whole.values():
        by_shape.setdefault(value.shape, []).append(value)
    assert len(convolutions) == len(back) == 5
    for node in convolutions:
        q, scale = (stored[name] for name in back[node.input[1]].input[:2])
        assert q.dtype == np.int8
        assert np.abs(q.astype(int)).reshape(len(q), -1).max(1).tolist() == [127] * len(q)
        real = q * scale.reshape(-1, *[1] * (q.ndim - 1)).astype(np.float64)
        half = scale.reshape(-1, *[1] * (q.ndim - 1)) / 2
        errors = [np.abs(real - weight) / half for weight in by_shape[q.shape]]
        assert min(error.max() for error in errors) <= 1.001


@pytest.mark.parametrize("precision", ["int8-weights", "int8-dynamic", "int16x8"])
def test_tflite_weights_are_int8_per_channel(made, precision):
    file = made["mobile"][precision, "tflite"]
    found = tflite_weights(file.path)
    assert len(found) == 5
    shapes = sorted(weight.integers.size for weight in found)
    assert shapes == sorted([72, 72, 64, 64, 160])
    state = file.variant.modules["tflite"].state_dict()
    rounded_in_torch = [value.double().numpy() for value in state.values()]
    for integers, scale, axis in found:
        assert np.abs(integers.astype(int)).max() == 127
        assert len(scale) == integers.shape[axis]
        shape = [-1 if i == axis else 1 for i in range(integers.ndim)]
        real = np.sort((integers * scale.reshape(shape)).ravel())
        alike = [np.sort(w.ravel()) for w in rounded_in_torch if w.size == real.size]
        assert min(np.abs(real - w).max() for w in alike) < 1e-6
    codes = set(tflite_operators(file.path))
    assert (BuiltinOperator.DEQUANTIZE in codes) == (precision != "int8-dynamic")
    assert (BuiltinOperator.QUANTIZE in codes) == (precision == "int16x8")


def test_dynamic_onnx_files_multiply_integers(made):
    graph = onnx.load(made["mobile"]["int8-dynamic", "onnx"].path).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("ConvInteger") == 4
    assert kinds.count("MatMulInteger") == 1
    assert not {"Conv", "Gemm", "MatMul"} & set(kinds)
    # one rounding of a tensor, however many read it
    sources = [node.input[0] for node in graph.node if node.op_type == "DynamicQuantizeLinear"]
    assert len(sources) == len(set(sources)) == 5


def test_files_are_smaller_even_of_a_network_of_500_parameters(made):
    sizes = {key: file.path.stat().st_size for key, file in made["mobile"].items()}
    for form in ("onnx", "tflite"):
        assert sizes["float16", form] < 0.92 * sizes["float32", form]
        assert sizes["int8-weights", form] < 0.95 * sizes["float32", form]
    assert sizes["int8-dynamic", "tflite"] < 0.9 * sizes["float32", "tflite"]


def test_gemm_with_a_factor_is_left_alone():
    weight = onnx.numpy_helper.from_array(np.ones((3, 4), np.float32), "w")
    value = onnx.helper.make_tensor_value_info
    ends = [[value(n, 1, ["b", 3])] for n in "x"], [[value(n, 1, ["b", 4])] for n in "y"]
    for alpha, count in ((1.0, 1), (0.5, 0)):
        node = onnx.helper.make_node("Gemm", ["x", "w"], ["y"], alpha=alpha)
        graph = onnx.helper.make_graph([node], "g", ends[0][0], ends[1][0], [weight])
        assert len(onnx_int8.weighted(graph)) == count


def test_int16x8_needs_samples(made):
    content = made["mobile"]["float32", "tflite"].path.read_bytes()
    with pytest.raises(StageError, match="no samples"):
        compute_int16x8(content, [])


def test_onnx_has_no_int16x8():
    with pytest.raises(StageError, match="no int16x8 file in ONNX"):
        onnx_file.write(onnx.ModelProto(), spec_of("mobile"), None, precision="int16x8")
    with pytest.raises(ValidationError, match=r"formats: \[tflite\]`, or take int8 or float16"):
        ExportSettings(precisions=("int8", "int16x8"))
    assert ExportSettings(formats=("tflite",), precisions=("int16x8",))


def test_pipelines_know_the_precisions_of_files():
    field = get_args(ExportSettings.model_fields["precisions"].annotation)[0]
    assert get_args(field) == get_args(Precision)
    with pytest.raises(ValidationError, match="route: litert or auto"):
        ExportSettings(route="onnx2tf", precisions=("float16",))
    with pytest.raises(ValidationError, match="int8-dynamic"):
        ExportSettings(precisions=("int4",))


@pytest.mark.parametrize(
    ("quantize", "precisions", "final"),
    [
        ("qat", ["float16", "int8", "float32"], "int8"),
        (None, ["float16", "int8", "float32"], "float32"),
        (None, ["int8-weights", "float16"], "int8-weights"),
        ("ptq", ["float16"], "float16"),
        (None, ["int8"], "float32"),
    ],
)
def test_the_file_that_a_budget_judges(quantize, precisions, final):
    raw = {"name": "n", "data": {"source": "digits"}, "export": {"precisions": precisions}}
    pipeline = Pipeline.model_validate({**raw, **({"quantize": quantize} if quantize else {})})
    assert pipeline.deployed_precision == final


def test_a_file_that_needs_ranges_is_no_target_of_pruning():
    raw = {"name": "n", "data": {"source": "digits"}}
    export = {"formats": ["tflite"], "precisions": ["int16x8"]}
    prune = {"target": "bytes"}
    with pytest.raises(ValidationError, match="take target: macs or parameters"):
        Pipeline.model_validate({**raw, "export": export, "prune": prune})


@pytest.mark.parametrize("precision", ["float16", "int8-dynamic", "int8-weights", "int16x8"])
def test_outputs_that_lie_far_fail(precision):
    left = np.zeros((100, 2))
    left[:, 1] = 50
    with pytest.raises(StageError, match=r"differ by up to 1\.5 quantization steps"):
        check(compare(left, left + 1.5, 1.0), pair="torch/litert", precision=precision)
