"""The second route to TFLite: real conversions by onnx2tf, and when which route is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_nets import networks, reference, run_tflite, samples, spec_of
from torch import nn

from edgekd.config.load import load_pipeline
from edgekd.config.stages import ExportSettings
from edgekd.environments import EnvironmentMissing, environment
from edgekd.errors import ConfigError, StageError
from edgekd.export import flatbuffer
from edgekd.export.onnx2tf_file import export_tflite_by_onnx2tf
from edgekd.export.routes import first_that_works, routes
from edgekd.export.tflite_file import export_tflite
from edgekd.progress import SILENT
from edgekd.runtimes import load
from edgekd.spec import DeployedSpec, InputSpec, ModelSpec, NamedInputs
from edgekd.stages.export_routes import Judge, write_routed


@pytest.fixture(scope="module")
def onnx2tf():
    try:
        return environment("onnx2tf")
    except EnvironmentMissing as error:
        pytest.skip(str(error))


def test_the_settings_say_which_routes_there_are():
    wanted = {
        route: [
            routes(ExportSettings(route=route), trained_int8=trained) for trained in (False, True)
        ]
        for route in ("litert", "onnx2tf", "auto")
    }
    assert wanted["litert"] == [("litert",)] * 2
    assert wanted["onnx2tf"] == [("onnx2tf",)] * 2
    assert wanted["auto"] == [("litert", "onnx2tf"), ("litert",)]


def test_a_failed_route_is_named_and_two_failures_are_told_together():
    def attempt(route):
        if route == "litert":
            raise StageError("It cannot.", where="aten.odd")
        return route

    made, taken = first_that_works(("litert", "onnx2tf"), attempt, "student.tflite")
    assert made == taken.route == "onnx2tf"
    for word in ("student.tflite", "litert-torch", "It cannot.", "aten.odd"):
        assert word in taken.warning
    assert first_that_works(("onnx2tf",), attempt, "f")[1].warning == ""
    with pytest.raises(StageError, match=r"It cannot\."):
        first_that_works(("litert",), attempt, "f")

    def never(route):
        raise StageError(f"{route} is broken.")

    with pytest.raises(StageError) as caught:
        first_that_works(("litert", "onnx2tf"), never, "f")
    assert "litert is broken." in caught.value.where and "onnx2tf is broken." in caught.value.where


def test_onnx2tf_is_refused_for_what_was_trained_in_int8():
    with pytest.raises(ConfigError, match="Q/DQ"):
        load_pipeline("digits", ["quantize=qat", "export.route=onnx2tf"])
    for allowed in (["quantize=ptq"], ["quantize=qat", "export.precisions=[float32]"]):
        load_pipeline("digits", [*allowed, "export.route=onnx2tf"])


@pytest.mark.slow
def test_float_files_of_both_routes_answer_alike(onnx2tf, tmp_path):
    model, _ = networks("mobile")
    path = tmp_path / "m.tflite"
    told = export_tflite_by_onnx2tf(model, spec_of("mobile"), path, precision="float32")
    assert told.layout == "NHWC" and load(path).describe() == told
    got = run_tflite(path, samples("mobile").numpy(), told)
    wanted = reference("mobile", "float32")
    np.testing.assert_allclose(got, wanted, atol=2e-4 * np.abs(wanted).max())


class Named(nn.Module):
    """A series, a picture of three channels and codes, which onnx2tf lays out in different ways."""

    def __init__(self) -> None:
        super().__init__()
        self.series, self.picture = nn.Conv1d(2, 4, 3), nn.Conv2d(3, 4, 3)
        self.codes, self.head = nn.Embedding(5, 4), nn.Linear(16, 3)

    def forward(self, zeta, picture, codes):
        parts = [self.series(zeta).relu().mean(2), self.picture(picture).relu().mean((2, 3))]
        return self.head(torch.cat([*parts, self.codes(codes).flatten(1)], 1))


@pytest.mark.slow
def test_several_inputs_keep_their_names_order_and_layout(onnx2tf, tmp_path):
    unit = {"mean": (0.0,), "std": (1.0,)}
    parts = (
        InputSpec(name="zeta", kind="series", shape=(2, 9), **unit),
        InputSpec(name="picture", kind="image", shape=(3, 6, 5), **unit),
        InputSpec(name="codes", kind="codes", shape=(2,), vocabulary=(("a", "b"), ("c", "d"))),
    )
    spec = ModelSpec(name="named", input=NamedInputs(inputs=parts), labels=("x", "y", "z"))
    torch.manual_seed(0)
    model = Named().eval()
    path = tmp_path / "n.tflite"
    export_tflite_by_onnx2tf(model, spec, path, precision="float32")
    generator = np.random.default_rng(0)
    x = {
        "zeta": generator.standard_normal((7, 2, 9), np.float32),
        "picture": generator.standard_normal((7, 3, 6, 5), np.float32),
        "codes": generator.integers(0, 3, (7, 2)).astype(np.int32),
    }
    with torch.no_grad():
        wanted = model(*map(torch.from_numpy, x.values())).numpy()
    np.testing.assert_allclose(load(path).run(x), wanted, atol=1e-4)
    graph = flatbuffer.parse(path.read_bytes()).subgraphs[0]
    assert [graph.tensors[i].name.decode() for i in graph.inputs] == ["zeta", "picture", "codes"]


class Scattered(nn.Module):
    """litert-torch fails at the scatter; ONNX, onnx2tf and LiteRT know it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 10)

    def forward(self, x):
        y = self.first(x)
        return torch.zeros_like(y).scatter(1, torch.argsort(y, 1), y)


class Determinant(nn.Module):
    """litert-torch knows no determinant, and onnx2tf makes it an operator of tensorflow."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(64, 32), nn.Linear(8, 10)

    def forward(self, x):
        return self.head(torch.linalg.det(self.first(x).reshape(-1, 8, 2, 2)))


def _judge(model: nn.Module) -> Judge:
    x = samples("row")
    with torch.no_grad():
        wanted = model(x).numpy()
    return Judge(spec_of("row"), x.numpy(), wanted.argmax(1), wanted, "float32", lambda _: 0.01)


def _given(model: nn.Module, judge: Judge, path: Path) -> dict[str, Any]:
    """The rest of what `write_routed` takes, for a network in float32."""

    def write() -> DeployedSpec:
        return export_tflite(model, judge.spec, path, precision="float32")

    return {"write": write, "plain": model, "calibration": None, "progress": SILENT}


@pytest.mark.slow
def test_auto_takes_onnx2tf_where_litert_fails_and_says_so(onnx2tf, tmp_path):
    torch.manual_seed(0)
    model = Scattered().eval()
    judge, path = _judge(model), tmp_path / "d.tflite"
    given = _given(model, judge, path)
    with pytest.raises(StageError):
        write_routed(path, judge, ("litert",), **given)
    made = write_routed(path, judge, ("litert", "onnx2tf"), **given)
    (warning,) = made.warnings
    assert "onnx2tf" in warning and "litert-torch failed" in warning
    np.testing.assert_allclose(load(path).run(judge.x), judge.reference, atol=1e-4)


@pytest.mark.slow
def test_what_neither_route_can_is_refused_with_both_reasons(onnx2tf, tmp_path):
    model = Determinant().eval()
    judge, path = _judge(model), tmp_path / "d.tflite"
    with pytest.raises(StageError, match="Neither route") as caught:
        write_routed(path, judge, ("litert", "onnx2tf"), **_given(model, judge, path))
    assert "aten._linalg_det" in caught.value.where
    assert "FlexMatrixDeterminant" in caught.value.where
    assert not list(tmp_path.iterdir()), "nothing is written half"


@pytest.mark.slow
def test_int8_by_onnx2tf_is_whole_int8_and_judged_by_its_score(onnx2tf, tmp_path):
    model, _ = networks("resnet8")
    x, y = samples("resnet8").numpy()[:397], _digits_labels()
    ours = reference("resnet8", "int8")[:397]
    spec = spec_of("resnet8")
    judge = Judge(spec, x, y, ours, "int8", lambda told: told.output_quantization.scale)
    path = tmp_path / "r.tflite"
    given = _given(model, judge, path) | {"calibration": lambda: x[:128]}
    made = write_routed(path, judge, ("onnx2tf",), **given)
    assert made.anew is not None and made.anew.agreement > 0.97
    graph = flatbuffer.parse(path.read_bytes()).subgraphs[0]
    floats = [t for t in graph.tensors if t.type == 0]
    assert not floats, "every tensor is an integer"
    accuracy = float((load(path).run(x).argmax(1) == y).mean())
    assert accuracy >= float((ours.argmax(1) == y).mean()) - 0.01
    perfect = Judge(spec, x, y, np.eye(10, dtype=np.float32)[y] * 9, "int8", judge.step)
    if accuracy < 0.99:
        with pytest.raises(StageError, match="one point less"):
            perfect.gate_anew(path, made.told, model, "torch/onnx2tf")


def _digits_labels() -> np.ndarray:
    from export_nets import digits

    return digits()[1][1400:]
