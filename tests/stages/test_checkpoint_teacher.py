"""A teacher that is several checkpoints of one training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from three_bands import samples

import edgekd
from edgekd.config.load import validate
from edgekd.config.pipeline import Pipeline
from edgekd.data.dataset import load as load_data
from edgekd.errors import ConfigError
from edgekd.models.saved import load
from edgekd.report.page import render
from edgekd.stages.checkpoints import places
from edgekd.stages.report import details

TRAIN = {"epochs": 6, "batch_size": 32, "precision": "float32"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    x, y = samples(120)
    np.savez(root / "mine.npz", x=x, y=y)
    return root


def pipeline(root: Path, **more: Any) -> dict[str, Any]:
    return {
        "name": "a",
        "data": str(root / "mine.npz"),
        "teacher": {"model": {"name": "mlp", "width": 0.5}, "train": TRAIN, "checkpoints": 3},
        "student": {"model": {"name": "mlp", "width": 0.25}},
        "distill": {"method": "kd", "train": TRAIN | {"epochs": 2}},
    } | more


def test_they_are_spread_over_the_second_half():
    assert places(40, 4) == [25, 30, 35]
    assert places(6, 3) == [4, 5]
    for epochs in range(2, 40):
        for count in range(2, epochs // 2 + 1):
            found = places(epochs, count)
            assert len(set(found)) == count - 1 and epochs / 2 <= found[0] and found[-1] < epochs


def test_the_student_learns_the_mean_of_their_logits(root: Path):
    result = edgekd.run(pipeline(root), until="compare", runs=root / "runs")
    names = [stage.name for stage in result.summary.stages]
    assert names == ["data", "teacher", "softlabels", "check", "distill", "compare"]
    folders = {s.name: result.folder / s.folder for s in result.summary.stages}
    data = load_data(folders["data"])
    members = [load(folders["teacher"] / f"checkpoint-{n}").model for n in (1, 2, 3)]
    assert not (folders["teacher"] / "checkpoint").exists()
    x = torch.from_numpy(data.spec.normalise(np.asarray(data.train.x)))
    with torch.no_grad():
        each = [member(x).numpy() for member in members]
    assert not any(np.allclose(each[0], other) for other in each[1:])
    found = np.load(folders["softlabels"] / "logits.npy")[0]
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=0.01)  # kept in float16
    x = torch.from_numpy(data.spec.normalise(np.asarray(data.validation.x)))
    with torch.no_grad():
        answers = np.mean([member(x).numpy() for member in members], axis=0)
    (teacher,) = result.summary.teachers
    right = (answers.argmax(1) == np.asarray(data.validation.y)).mean()
    assert teacher.validation is not None and teacher.validation.value == pytest.approx(right)
    assert {row.stage for row in result.summary.retention} == {"teacher", "distill"}
    page = render(result.summary, details(result.summary, result.folder))
    assert "no one network" in page and "3 checkpoints" in page


def test_the_whole_run_leaves_the_teachers_files_out(root: Path):
    more = {"export": {"formats": ["onnx"]}, "bench": "quick", "name": "whole"}
    result = edgekd.run(pipeline(root, **more), runs=root / "runs")
    names = {stage.name for stage in result.summary.stages}
    assert "export-teacher" not in names and {"export", "bench"} <= names
    assert {model.stage for model in result.summary.models} == {"distill", "student"}


def test_it_may_be_one_of_several_teachers(root: Path):
    both = [pipeline(root)["teacher"], {"model": "mlp", "train": TRAIN}]
    raw = pipeline(root, teachers=both, name="many")
    del raw["teacher"]
    result = edgekd.run(raw, until="distill", runs=root / "runs")
    told = [figures.stage for figures in result.summary.teachers]
    assert told == ["teacher-1", "teacher-2", "ensemble"]


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ({"checkpoints": 3, "train": {"epochs": 5}}, "not apart"),
        ({"checkpoints": 2, "train": {"ema": 0.9}}, "ema"),
        ({"checkpoints": 2, "train": None, "weights": "a.safetensors"}, "of a training"),
        ({"checkpoints": 2, "onnx": "a.onnx"}, "take `checkpoints` away"),
        ({"checkpoints": 0}, "greater than 0"),
    ],
)
def test_what_does_not_go_together_is_told(teacher: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words):
        validate(Pipeline, {"name": "a", "teacher": teacher})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"student": {"copy_of": "teacher"}, "prune": True}, "no one network to copy"),
        ({"distill": {"method": {"name": "at"}}}, "or checkpoints are none"),
        ({"budget": {"accuracy_drop": 0.1}}, "accuracy_drop"),
    ],
)
def test_it_is_no_one_network(more: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words):
        validate(Pipeline, {"name": "a", "teacher": {"checkpoints": 2}, **more})
