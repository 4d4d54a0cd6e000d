"""Pipelines whose teacher is given: an .onnx file, or weights of which the student is a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from three_bands import samples
from torch import nn

import edgekd
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError, StageError
from edgekd.export.onnx_file import export_onnx
from edgekd.models.count import parameters
from edgekd.models.saved import load
from edgekd.pipeline import read_summary
from edgekd.plan import make_plan
from edgekd.report.terminal import summary_table
from edgekd.stages.report import details

TEACHER = {"model": "resnet8", "train": {"epochs": 3, "batch_size": 32, "precision": "float32"}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of three classes, and a run that trained a teacher on it."""
    root = tmp_path_factory.mktemp("given")
    x, y = samples(150)
    np.savez(root / "mine.npz", x=x, y=np.array(["ant", "bee", "cat"])[y])
    run(root, {"teacher": TEACHER}, "teacher", "first")
    return root


def mapping(root: Path, **more: Any) -> dict[str, Any]:
    return {"data": str(root / "mine.npz"), "student": {"model": "mlp"}, **more}


def run(root: Path, more: dict[str, Any], until: str, name: str) -> edgekd.RunResult:
    return edgekd.run({"name": name, **mapping(root, **more)}, until=until, runs=root / "runs")


def folder(root: Path, name: str, stage: str) -> Path:
    (found,) = (root / "runs" / name).glob(f"{stage}-*")
    return found


def test_an_onnx_teacher_answers_as_the_network_that_it_came_from(root):
    made = load(folder(root, "first", "teacher"))
    export_onnx(made.model, made.spec, root / "teacher.onnx", precision="float32")
    more = {
        "teacher": {"onnx": str(root / "teacher.onnx")},
        "distill": {"train": {"epochs": 2}},
    }
    result = run(root, more, "distill", "file")
    first = read_summary(root / "runs" / "first")
    (before,) = first.models
    (teacher, student) = result.summary.models
    assert (teacher.format, teacher.accuracy.runtime) == ("onnx", "onnxruntime")
    assert teacher.accuracy.value == before.accuracy.value
    # the exporter folds a normalisation's factors into the layer before it
    folded = sum(m.weight.numel() for m in made.model.modules() if isinstance(m, nn.BatchNorm2d))
    stored = parameters(made.model) - folded
    assert (teacher.parameters, teacher.macs) == (stored, before.macs)
    assert student.stage == "distill"
    ours = np.load(folder(root, "file", "softlabels") / "logits.npy")[0].astype(np.float32)
    data = np.load(folder(root, "file", "data") / "train_x.npy")
    with torch.no_grad():
        theirs = made.model(torch.from_numpy(made.spec.input.normalise(data))).numpy()
    np.testing.assert_allclose(ours, theirs, atol=0.02)  # they are kept in float16
    shown = details(result.summary, result.folder)
    assert shown.networks == {"teacher": "teacher.onnx", "student": "mlp"}
    assert set(shown.confusion) == {"teacher", "student"}
    assert summary_table(result.summary) is not None


def test_an_onnx_teacher_is_measured_as_it_is_and_never_exported(root):
    raw = {"name": "a", **mapping(root, teacher={"onnx": str(root / "teacher.onnx")})}
    nodes = {n.name: n for n in make_plan(Pipeline.model_validate(raw), root)}
    assert "export-teacher" not in nodes
    assert nodes["bench"].inputs["teacher"] is nodes["teacher"]


def test_a_copy_of_the_teacher_is_pruned_and_keeps_its_weights(root):
    kept = root / "kept"
    kept.mkdir()
    teacher = folder(root, "first", "teacher")
    for name in ("model.json", "model.safetensors"):
        (kept / name).write_bytes((teacher / name).read_bytes())
    more = {
        "teacher": {"model": "resnet8", "train": None, "weights": str(kept)},
        "student": {"copy_of": "teacher"},
        "prune": {"target": "parameters", "keep": 0.5, "train": {"epochs": 2}},
    }
    result = run(root, more, "prune", "copy")
    stages = [stage.name for stage in result.summary.stages]
    assert stages == ["data", "teacher", "softlabels", "check", "prune"]
    (given, pruned) = result.summary.models
    assert pruned.parameters <= 0.5 * given.parameters
    assert details(result.summary, result.folder).networks["student"] == "a copy of it"
    # the copy, pruned again, is a teacher as well
    again = {
        "teacher": {
            "model": "resnet8",
            "train": None,
            "weights": str(folder(root, "copy", "prune")),
        }
    }
    (second,) = run(root, again, "teacher", "again").summary.models
    assert (second.parameters, second.accuracy) == (pruned.parameters, pruned.accuracy)


def test_weights_that_lack_something_are_no_teacher_as_they_are(root):
    tensors = load_file(folder(root, "first", "teacher") / "model.safetensors")
    tensors.popitem()
    save_file(tensors, root / "half.safetensors")
    more = {
        "teacher": {"model": "resnet8", "train": None, "weights": str(root / "half.safetensors")}
    }
    with pytest.raises(StageError, match="not the whole network"):
        run(root, more, "teacher", "half")


def test_a_saved_teacher_of_other_classes_is_refused(root):
    with np.load(root / "mine.npz") as arrays:
        y = arrays["y"]
        np.savez(root / "other.npz", x=arrays["x"], y=np.where(y == "cat", "dog", y))
    weights = str(folder(root, "first", "teacher"))
    more = {
        "data": str(root / "other.npz"),
        "teacher": {"model": "resnet8", "train": None, "weights": weights},
    }
    with pytest.raises(StageError, match="classes are not those"):
        run(root, more, "teacher", "other")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"teacher": {"onnx": "a.onnx", "weights": "b"}}, "take `weights` away"),
        ({"teacher": {"onnx": "a.onnx", "train": {"epochs": 3}}}, "take `train` away"),
        ({"teacher": {"input": {"scale": 2}}}, "give `onnx`"),
        (
            {"teacher": {"onnx": "a"}, "student": {"copy_of": "teacher"}, "prune": True},
            "no weights",
        ),
        ({"student": {"copy_of": "teacher"}}, "needs `prune`, `quantize`"),
        ({"student": {"copy_of": "teacher", "model": "mlp"}, "prune": True}, "either"),
        ({"teacher": {"onnx": "nowhere.onnx"}}, "teacher.onnx"),
    ],
)
def test_what_does_not_go_together_is_told(raw, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        edgekd.run({"name": "a", **raw}, runs=tmp_path)
