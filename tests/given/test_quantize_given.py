"""`edgekd quantize` on a file that edgekd did not write, against ONNX Runtime called directly."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from given_net import SCALE
from onnx import TensorProto, helper

from edgekd.cli.app import app
from edgekd.config.data import DigitsData
from edgekd.config.stages import OnnxInput
from edgekd.data.dataset import Dataset
from edgekd.data.sources import load_source
from edgekd.errors import ConfigError, EdgekdError, StageError
from edgekd.given.command import quantize
from edgekd.given.quantize import FIGURES, agreement, quantize_file
from edgekd.given.static import samples_within
from edgekd.given.table import notes, rows


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_source(DigitsData(), Path.cwd())


@pytest.fixture(scope="module")
def made(digits_net, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8")
    return quantize_file(digits_net, data, out, settings=OnnxInput(scale=SCALE), samples=64)


def answers(path: Path, data: Dataset) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    # Exact kernels where the processor has no VNNI; see edgekd/agent/agent.py.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    x = np.moveaxis(np.asarray(data.test.x, np.float32), 1, -1) * np.float32(SCALE)
    (p,) = session.run(["p"], {"pixels": x})
    return np.asarray(p)


def test_figures_are_those_of_the_files_themselves(made, digits_net, data):
    before, after = (answers(path, data).argmax(1) for path in (digits_net, made.file))
    assert made.before.value == pytest.approx((before == data.test.y).mean())
    assert made.after.value == pytest.approx((after == data.test.y).mean())
    assert made.agreement == pytest.approx((before == after).mean())
    assert made.before.low < made.before.value < made.before.high
    assert made.after.value > 0.9
    assert made.bytes_before == digits_net.stat().st_size
    assert made.bytes_after == made.file.stat().st_size


def test_the_int8_file_takes_and_gives_what_the_given_one_does(made, digits_net):
    for path in (digits_net, made.file):
        graph = onnx.load(path).graph
        assert [v.name for v in graph.input] == ["pixels"]
        assert [v.name for v in graph.output] == ["p"]
        dims = graph.input[0].type.tensor_type.shape.dim
        assert [d.dim_param or d.dim_value for d in dims] == ["n", 8, 8, 1]


def test_weights_are_int8_per_channel_and_activations_uint8(made):
    graph = onnx.load(made.file).graph
    stored = {i.name: i for i in graph.initializer}
    weights = [i for i in graph.initializer if i.data_type == TensorProto.INT8 and len(i.dims) == 4]
    assert [tuple(i.dims) for i in weights] == [(16, 1, 3, 3), (16, 16, 3, 3)]
    scales = {n.input[0]: stored[n.input[1]] for n in graph.node if n.op_type == "DequantizeLinear"
              and n.input[0] in stored}  # fmt: skip
    assert all(tuple(scales[i.name].dims) == (16,) for i in weights)
    zeros = [stored[n.input[2]].data_type for n in graph.node if n.op_type == "QuantizeLinear"]
    assert set(zeros) == {TensorProto.UINT8}


def test_what_stayed_float_is_named(made):
    """ONNX Runtime has no int8 hard-swish, and the last softmax is left out on purpose."""
    assert made.stayed_float.pop("Softmax") == 1
    assert set(made.stayed_float) <= {"HardSigmoid", "Mul", "HardSwish"}
    assert made.stayed_float


def test_each_calibration_was_tried_and_the_best_kept(made):
    scores = {each.calibration: each.validation.value for each in made.tried}
    assert set(scores) == {"minmax", "entropy", "percentile"}
    assert scores[made.calibration] == max(scores.values())
    assert all(each.validation.split == "validation" for each in made.tried)
    assert {each.samples for each in made.tried} == {64}


def test_figures_lie_beside_the_file_and_are_printed(made):
    told = json.loads((made.file.parent / FIGURES).read_text())
    assert told["after"]["value"] == made.after.value
    assert sorted(p.name for p in made.file.parent.iterdir()) == ["net-int8.onnx", FIGURES]
    table = rows(made)
    assert table[1][0] == "as given" and "[" in table[2][2]
    assert any("computed in float by ONNX Runtime" in line for line in notes(made))


def test_histograms_keep_no_more_than_a_gigabyte():
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, ["n", 64, 512, 512])
    graph = helper.make_graph([], "g", [], [], value_info=[value])
    model = helper.make_model(graph)
    assert samples_within(model, "entropy", 256) == (1 << 30) // (4 * 64 * 512 * 512)
    assert samples_within(model, "minmax", 256) == 256


def test_agreement_of_tasks():
    one, two = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[0.0, 5.0], [-1.0, 2.0]])
    assert agreement(one, two, "classification") == 0.5
    assert agreement(one, -two, "multilabel") == 0.5
    assert agreement(one, two, "regression") is None


def test_a_file_that_is_quantized_already_is_refused(made, data, tmp_path):
    with pytest.raises(StageError, match="quantized already"):
        quantize_file(made.file, data, tmp_path / "o", settings=OnnxInput(scale=SCALE))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (OnnxInput(layout="NCHW", scale=SCALE), "a sample of the data is"),
        (OnnxInput(scale=SCALE, mean=(0.5, 0.5)), "2 numbers for 1 channels"),
        (OnnxInput(output="logits"), "no output logits"),
    ],
)
def test_settings_that_do_not_fit_name_the_option(settings, message, digits_net, data, tmp_path):
    with pytest.raises(StageError, match=message) as caught:
        quantize_file(digits_net, data, tmp_path / "o", settings=settings)
    assert "--" in f"{caught.value.where} {caught.value.fix}"
    assert not (tmp_path / "o").exists()


def test_data_of_another_size_or_of_other_classes(digits_net, tmp_path):
    generator = np.random.default_rng(0)
    for shape, classes, message in (
        ((9, 9), 10, "a sample of the data is"),
        ((8, 8), 4, "outputs"),
    ):
        x = generator.integers(0, 17, (80, *shape)).astype(np.uint8)
        np.savez(tmp_path / "d.npz", x=x, y=np.arange(80) % classes)
        with pytest.raises(EdgekdError, match=message):
            quantize(digits_net, str(tmp_path / "d.npz"), tmp_path / "o", settings=OnnxInput())
    assert not (tmp_path / "o").exists()


def test_other_files_are_refused_with_the_reason(tmp_path):
    (tmp_path / "x.tflite").write_bytes(b"....TFL3")
    with pytest.raises(ConfigError, match="cannot be quantized"):
        quantize(tmp_path / "x.tflite", "digits", tmp_path / "o", settings=OnnxInput())
    with pytest.raises(ConfigError, match="no such"):
        quantize(tmp_path / "x.onnx", "digits", tmp_path / "o", settings=OnnxInput())


def test_several_inputs_are_refused(data, tmp_path):
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 10]) for n in "aby"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "g", ends[:2], ends[2:])
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "two.onnx")
    with pytest.raises(StageError, match="2 inputs") as caught:
        quantize_file(tmp_path / "two.onnx", data, tmp_path / "o", settings=OnnxInput())
    assert "a, b" in caught.value.where


def test_the_command_prints_what_a_user_expects(digits_net, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["edgekd"])
    app(
        ["quantize", str(digits_net), "--data", "digits", "--scale", "0.0625",
         "--calibrate", "minmax", "--out", str(tmp_path / "o")],
        standalone_mode=False,
    )  # fmt: skip
    shown = capsys.readouterr().out
    for part in ("as given", "net-int8.onnx", "accuracy on test", "answer alike", "in float"):
        assert part in shown
    assert (tmp_path / "o" / "net-int8.onnx").is_file()


def test_a_last_batch_need_not_be_full(digits_net, data, tmp_path):
    found = quantize_file(
        digits_net,
        data,
        tmp_path,
        settings=OnnxInput(scale=SCALE),
        calibrations=("entropy",),
        samples=50,
    )
    assert found.samples == 50 and found.file.is_file()
