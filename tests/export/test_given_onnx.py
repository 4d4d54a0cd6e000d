"""Somebody's .onnx file as a teacher: its answers are those of the network it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.export.given_onnx import adapt, from_probabilities
from edgekd.export.onnx_file import export_onnx
from edgekd.models.count import macs, parameters
from edgekd.runtimes import load
from edgekd.spec import InputSpec, ModelSpec

SHAPE = (2, 5, 4)
LABELS = ("ant", "bee", "cat")


def spec(
    labels: tuple[str, ...] = LABELS,
    mean: tuple[float, ...] = (3.0, -1.0),
    std: tuple[float, ...] = (2.0, 0.5),
) -> ModelSpec:
    given = InputSpec(kind="image", shape=SHAPE, mean=mean, std=std)
    return ModelSpec(name="data", input=given, labels=labels)


def raw(n: int = 6) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(3, 2, (n, *SHAPE)).astype(np.float32)


def foreign(
    path: Path,
    *,
    layout: str = "NCHW",
    end: str = "",
    batch: Any = "n",
    outputs: int = 1,
    kind: int = TensorProto.FLOAT,
) -> NDArray[np.float32]:
    """A linear classifier of flattened pixels, and its matrix (pixels channels first, classes)."""
    matrix = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
    rows = matrix
    if layout == "NHWC":
        rows = matrix.reshape(*SHAPE, 3).transpose(1, 2, 0, 3).reshape(40, 3)
    sides = SHAPE if layout == "NCHW" else (5, 4, 2)
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["scores"]),
    ]
    names = ["scores"]
    if end:
        nodes.append(helper.make_node(end, ["scores"], ["end"]))
        names = ["end"]
    if outputs == 2:
        nodes.append(helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0))
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("pixels", kind, [batch, *sides])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3]) for name in names]
        + [helper.make_tensor_value_info("best", TensorProto.INT64, [batch])] * (outputs - 1),
        [numpy_helper.from_array(rows, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return matrix


def answers(path: Path, own: ModelSpec, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return load(path).run(own.input.normalise(samples))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", ["n", 1])
def test_normalisation_and_layout_are_those_that_the_file_wants(tmp_path, layout, batch):
    matrix = foreign(tmp_path / "a.onnx", layout=layout, batch=batch)
    wanted = OnnxInput(scale=0.5, mean=(0.25, 1.0), std=(4.0,))
    found = adapt(tmp_path / "a.onnx", spec(), wanted, tmp_path / "b.onnx")
    x = raw()
    seen = (x * 0.5 - np.array([0.25, 1.0]).reshape(1, 2, 1, 1)) / 4
    expected = seen.reshape(6, 40) @ matrix
    np.testing.assert_allclose(answers(tmp_path / "b.onnx", spec(), x), expected, rtol=1e-4)
    assert (found.parameters, found.macs, found.warnings) == (120, 120, [])


def test_a_file_that_says_nothing_gets_normalised_data_and_a_warning(tmp_path):
    matrix = foreign(tmp_path / "a.onnx")
    found = adapt(tmp_path / "a.onnx", spec(), OnnxInput(), tmp_path / "b.onnx")
    expected = spec().input.normalise(raw()).reshape(6, 40) @ matrix
    np.testing.assert_allclose(answers(tmp_path / "b.onnx", spec(), raw()), expected, rtol=1e-4)
    assert "teacher.input" in found.warnings[0]


def test_a_softmax_at_the_end_is_taken_away(tmp_path):
    matrix = foreign(tmp_path / "a.onnx", end="Softmax")
    adapt(tmp_path / "a.onnx", spec(), OnnxInput(), tmp_path / "b.onnx")
    expected = spec().input.normalise(raw()).reshape(6, 40) @ matrix
    np.testing.assert_allclose(answers(tmp_path / "b.onnx", spec(), raw()), expected, rtol=1e-4)


def test_probabilities_become_logits_of_the_same_softmax(tmp_path):
    foreign(tmp_path / "a.onnx", end="Sigmoid")
    adapt(tmp_path / "a.onnx", spec(), OnnxInput(), tmp_path / "b.onnx")
    before = answers(tmp_path / "b.onnx", spec(), raw())
    from_probabilities(tmp_path / "b.onnx")
    after = answers(tmp_path / "b.onnx", spec(), raw())
    np.testing.assert_allclose(np.exp(after), before, atol=1e-5)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 3, padding=1, stride=2)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Net]:
    """A network of torch and its file, made for data of another normalisation and order."""
    torch.manual_seed(0)
    net = Net().eval()
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    theirs = spec(labels=("cat", "ant", "bee"), mean=(1.0, 0.0), std=(5.0, 1.0))
    export_onnx(net, theirs, path, precision="float32")
    return path, net


def test_a_file_of_edgekd_tells_it_all_itself(exported, tmp_path):
    path, net = exported
    found = adapt(path, spec(), OnnxInput(), tmp_path / "b.onnx")
    seen = (raw() - np.array([1.0, 0.0], np.float32).reshape(1, 2, 1, 1)) / np.array(
        [5.0, 1.0], np.float32
    ).reshape(1, 2, 1, 1)
    with torch.no_grad():
        expected = net(torch.from_numpy(seen)).numpy()[:, [1, 2, 0]]  # ant, bee, cat
    np.testing.assert_allclose(answers(tmp_path / "b.onnx", spec(), raw()), expected, atol=1e-5)
    assert found.parameters == parameters(net)
    assert found.macs == macs(net, spec().input)


def test_other_classes_are_named(exported, tmp_path):
    with pytest.raises(StageError, match="classes are not those") as caught:
        adapt(exported[0], spec(("ant", "bee", "dog")), OnnxInput(), tmp_path / "b.onnx")
    assert "'cat'" in caught.value.where
    assert "'dog'" in caught.value.where


def test_a_file_that_tells_its_normalisation_wants_no_other(exported, tmp_path):
    with pytest.raises(StageError, match="tells itself"):
        adapt(exported[0], spec(), OnnxInput(mean=(0.0,)), tmp_path / "b.onnx")


@pytest.mark.parametrize(
    ("made", "settings", "message"),
    [
        ({"outputs": 2}, OnnxInput(), "2 outputs"),
        ({}, OnnxInput(output="nothing"), "no output nothing"),
        ({"batch": 8}, OnnxInput(), "8 samples at a time"),
        ({"kind": TensorProto.DOUBLE}, OnnxInput(), "DOUBLE, not float32"),
        ({}, OnnxInput(layout="NHWC"), "channels first"),
        ({}, OnnxInput(std=(1.0, 1.0, 1.0)), "3 numbers for 2 channels"),
    ],
)
def test_files_that_are_no_teacher_are_explained(tmp_path, made, settings, message):
    foreign(tmp_path / "a.onnx", **made)
    with pytest.raises(StageError, match=message):
        adapt(tmp_path / "a.onnx", spec(), settings, tmp_path / "b.onnx")


def test_one_of_two_outputs_can_be_named(tmp_path):
    foreign(tmp_path / "a.onnx", outputs=2)
    adapt(tmp_path / "a.onnx", spec(), OnnxInput(output="scores"), tmp_path / "b.onnx")
    assert answers(tmp_path / "b.onnx", spec(), raw()).shape == (6, 3)


def test_what_is_no_onnx_file_is_said(tmp_path):
    (tmp_path / "a.onnx").write_text("not a model")
    with pytest.raises(StageError, match="cannot be read"):
        adapt(tmp_path / "a.onnx", spec(), OnnxInput(), tmp_path / "b.onnx")
