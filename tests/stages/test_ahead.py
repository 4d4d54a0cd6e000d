"""What is known to be wrong of given teachers is told before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from three_bands import samples

import edgekd
from edgekd.config.load import validate
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError, EdgekdError, StageError
from edgekd.labels import make_labels

TRAIN = {"epochs": 1, "batch_size": 32, "precision": "float32"}
NET = {"model": {"name": "mlp", "width": 0.25}, "train": TRAIN}
GAP = {"method": {"name": "kd", "weight": {"from": 1, "by": "gap"}}, "train": TRAIN}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ahead")
    x, y = samples(90)
    np.savez(root / "mine.npz", x=x, y=y)
    p = np.where(np.arange(3) == y[:, None], 0.8, 0.1)
    given = {f"{part}_probabilities": p for part in ("train", "validation", "test")}
    given["validation_probabilities"] = np.where(np.arange(90)[:, None] % 2, p, np.roll(p, 1, 1))
    given |= {f"{part}_ids": np.arange(90).astype(str) for part in ("train", "validation", "test")}
    labels = np.array(["0", "1", "2"])
    np.savez(root / "soft.npz", labels=labels, **given)
    np.savez(root / "other.npz", labels=np.array(["0", "1", "5"]), **given)
    np.savez(root / "nan.npz", labels=labels, **(given | {"train_probabilities": p * np.nan}))
    train = {name: array for name, array in given.items() if name.startswith("train")}
    np.savez(root / "train.npz", labels=labels, **train)
    save_file({"somebody.weight": np.zeros((2, 2), np.float32)}, str(root / "their.safetensors"))
    return root


def run(root: Path, name: str, until: str = "check", **more: Any) -> edgekd.RunResult:
    raw = {
        "name": name,
        "data": {"source": "npz", "path": str(root / "mine.npz")},
        "student": {"model": {"name": "mlp", "width": 0.25}},
        "distill": {"method": "kd", "train": TRAIN},
    } | more
    return edgekd.run(raw, until=until, runs=root / "runs")


def stages_of(root: Path, name: str) -> set[str]:
    """Of the artefacts that a failed run left."""
    return {path.name.rpartition("-")[0] for path in (root / "runs" / name).glob("*-*")}


@pytest.mark.parametrize(
    ("name", "second", "words"),
    [
        ("classes", {"labels": "other.npz"}, "5"),
        ("nan", {"labels": "nan.npz"}, "nan"),
        ("weights", {"model": "mlp", "weights": "their.safetensors", "train": TRAIN}, "fits"),
        ("gate", {"labels": "soft.npz", "require": {"score": 1}}, "requires"),
    ],
)
def test_the_second_teacher_is_looked_at_before_the_first_is_trained(
    root: Path, name: str, second: dict[str, Any], words: str
):
    for field in ("labels", "weights"):
        if field in second:
            second = second | {field: str(root / second[field])}
    with pytest.raises(EdgekdError) as caught:
        run(root, name, teachers=[NET, second])
    told = f"{caught.value.what} {caught.value.where} {caught.value.fix}"
    assert words in told
    left = list((root / "runs" / name).glob("teacher-*"))
    assert len(left) == (name == "gate")  # the file itself is taken; no network was trained


def test_teachers_stand_in_the_order_of_the_file(root: Path):
    soft = {"labels": str(root / "soft.npz")}
    result = run(root, "order", teachers=[NET, soft])
    each = [f"{stage}-{n}" for n in (1, 2) for stage in ("teacher", "softlabels", "check")]
    names = [stage.name for stage in result.summary.stages]
    assert names == ["data", *each, "teacher", "softlabels", "check"]
    made = {stage.name for stage in result.summary.stages if not stage.cached}
    assert {"teacher-1", "softlabels-2", "teacher"} <= made
    again = run(root, "order", teachers=[NET, soft])
    assert all(stage.cached for stage in again.summary.stages)


def test_labels_of_one_seeds_views_are_refused_for_several_seeds(root: Path):
    augment = {"shift": 1, "views": 2}
    data = {"source": "npz", "path": str(root / "mine.npz"), "augment": augment}
    raw = {
        "name": "views", "data": data, "teacher": NET, "student": "mlp",
        "distill": {"method": "kd", "train": TRAIN},
    }  # fmt: skip
    make_labels(raw, out=root / "views.npz", runs=root / "runs")
    given = {"labels": str(root / "views.npz")}
    run(root, "one", "distill", data=data, teacher=given)
    with pytest.raises(StageError, match="other variations") as caught:
        run(root, "two", "distill", data=data, teacher=given, seeds=2)
    assert "the pipeline has seed 1" in caught.value.where
    assert "distill" not in stages_of(root, "two")


def test_a_gap_needs_a_score_and_the_teacher_has_none(root: Path):
    train = {"labels": str(root / "train.npz")}
    with pytest.raises(ConfigError, match="weight by gap") as caught:
        run(root, "gap", "distill", teacher=train, distill=GAP)
    assert "teacher has no answers on validation" in caught.value.where
    with pytest.raises(ConfigError, match="weight by gap"):
        run(root, "gaps", "distill", teachers=[NET, train], distill=GAP)
    assert len(list((root / "runs/gaps").glob("teacher-*"))) == 1
    run(root, "known", "distill", teacher={"labels": str(root / "soft.npz")}, distill=GAP)


def test_a_score_to_weigh_by_is_asked_for_before_training(root: Path):
    train = {"labels": str(root / "train.npz")}
    with pytest.raises(StageError, match="weighed by its score") as caught:
        run(root, "score", teachers=[NET, train], teacher_weights="score")
    assert caught.value.where == "teachers, the 2. of 2"
    assert len(list((root / "runs/score").glob("teacher-*"))) == 1


def test_a_teacher_of_other_classes_has_no_gap():
    teacher = {"weights": "a.safetensors", "features_only": True}
    method = {"name": "at", "weight": {"from": 1, "by": "gap"}}
    with pytest.raises(ConfigError, match="of other classes"):
        validate(Pipeline, {"name": "a", "teacher": teacher, "distill": {"method": method}})
