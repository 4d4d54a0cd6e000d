"""Several teachers of several kinds: each is judged, and the student learns their mixture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from three_bands import samples
from tiny_models import Tiny

import edgekd
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError, StageError
from edgekd.plan import make_plan
from edgekd.report.page import render
from edgekd.report.terminal import summary_table
from edgekd.stages.report import details

TRAIN = {"epochs": 2, "batch_size": 32, "precision": "float32"}
NET = {"model": {"name": "mlp", "width": 0.5}, "train": TRAIN}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("several")
    x, y = samples(150)
    np.savez(root / "mine.npz", x=x, y=y)
    Tiny(shape=(1, 8, 8), classes=3).write(root, "onnx", "float32", text=None)
    p = np.where(np.arange(3) == y[:, None], 0.8, 0.1)
    given = {f"{part}_probabilities": p for part in ("train", "validation", "test")}
    given |= {f"{part}_ids": np.arange(150).astype(str) for part in ("train", "validation", "test")}
    np.savez(root / "soft.npz", labels=np.array(["0", "1", "2"]), **given)
    return root


def pipeline(root: Path, **more: Any) -> dict[str, Any]:
    augment = {"shift": 1, "views": 2}
    return {
        "name": "a",
        "data": {"source": "npz", "path": str(root / "mine.npz"), "augment": augment},
        "teachers": [NET, {"onnx": str(root / "float32.onnx")}, {"labels": str(root / "soft.npz")}],
        "student": {"model": {"name": "mlp", "width": 0.25}},
        "distill": {"method": {"name": "kd", "temperature": 2}, "train": TRAIN},
    } | more


def run(root: Path, until: str | None = "check", **more: Any) -> edgekd.RunResult:
    return edgekd.run(pipeline(root, **more), until=until, runs=root / "runs")


def answers(result: edgekd.RunResult, stage: str) -> np.ndarray:
    (found,) = [s for s in result.summary.stages if s.name == stage]
    return np.load(result.folder / found.folder / "logits.npy").astype(np.float64)


@pytest.mark.parametrize("weights", ["average", "score", "confidence"])
def test_the_student_learns_the_mixture_of_all(root: Path, weights: str):
    result = run(root, teacher_weights=weights)
    each = [answers(result, f"softlabels-{n}") for n in (1, 2, 3)]
    assert [len(a) for a in each] == [2, 2, 1]  # labels of a file are of the samples as they are
    (data,) = result.folder.glob("data-*")
    y = np.load(data / "train_y.npy")
    rows = np.arange(len(y))
    scores = [t.validation.value for t in result.summary.teachers if t.stage != "ensemble"]
    for view in range(2):
        z = [a[min(view, len(a) - 1)] for a in each]
        if weights == "confidence":
            losses = np.stack([-np.log(softmax(a, 1)[rows, y]) for a in z])
            w = (1 - np.exp(losses) / np.exp(losses).sum(0)) / 2
        else:
            w = np.array(scores if weights == "score" else [1, 1, 1])[:, None] * np.ones(len(y))
            w = w / w.sum(0)
        wanted = sum(wk[:, None] * softmax(a / 2, 1) for wk, a in zip(w, z, strict=True))
        found = softmax(answers(result, "softlabels")[view] / 2, 1)
        np.testing.assert_allclose(found, wanted, atol=5e-3)  # kept in float16


def test_the_whole_run_and_its_report(root: Path):
    more = {"export": {"formats": ["onnx"]}, "bench": "quick"}
    result = run(root, None, **more)
    names = [stage.name for stage in result.summary.stages]
    numbered = [f"{stage}-{n}" for n in (1, 2, 3) for stage in ("teacher", "softlabels", "check")]
    rest = ["teacher", "softlabels", "check", "distill", "compare", "export", "quality", "bench"]
    assert names == ["data", *numbered, *rest]
    told = [figures.stage for figures in result.summary.teachers]
    assert told == ["teacher-1", "teacher-2", "teacher-3", "ensemble"]
    assert all(figures.ece is not None for figures in result.summary.teachers)
    assert {row.stage for row in result.summary.retention} == {"teacher", "distill"}
    page = render(result.summary, details(result.summary, result.folder))
    for text in ("Teacher 1", "Teacher 3", "All together", "no one network"):
        assert text in page
    assert set(details(result.summary, result.folder).confusion) == {"teacher", "student"}
    assert summary_table(result.summary) is not None


def test_a_teacher_is_the_same_artefact_alone_and_among_others(root: Path):
    alone = run(root, "check", teachers=[], teacher=NET)
    many = run(root, "check")
    keys = [{s.name: s.key for s in r.summary.stages} for r in (alone, many)]
    assert keys[0]["teacher"] == keys[1]["teacher-1"]
    assert keys[0]["softlabels"] == keys[1]["softlabels-1"]
    assert [m.stage for m in alone.summary.models] == ["teacher"]
    assert alone.summary.models[0].accuracy == many.summary.models[0].accuracy


def test_two_that_are_written_the_same_are_trained_apart(root: Path):
    result = run(root, teachers=[NET, NET])
    one, two = answers(result, "softlabels-1"), answers(result, "softlabels-2")
    assert not np.allclose(one, two)
    assert [m.seed for m in result.summary.models] == [0, 0]


def test_until_takes_what_is_needed(root: Path):
    names = [s.name for s in run(root, "teacher").summary.stages]
    assert names[-1] == "teacher" and "softlabels-3" in names and "check-1" not in names


def test_each_teacher_has_its_own_gate(root: Path):
    untrained = TRAIN | {"epochs": 1, "learning_rate": 1e-6}
    second = {**NET, "train": untrained, "require": {"score": 0.9}}
    with pytest.raises(StageError, match="the pipeline requires") as caught:
        run(root, teachers=[NET, second])
    assert "teacher-2" in caught.value.where


def test_a_teacher_without_a_score_is_not_weighed_by_it(root: Path):
    with np.load(root / "soft.npz") as file:
        np.savez(root / "train.npz", **{k: v for k, v in file.items() if "valid" not in k})
    with pytest.raises(StageError, match="weighed by its score") as caught:
        run(root, teachers=[NET, {"labels": str(root / "train.npz")}], teacher_weights="score")
    assert "2. of 2" in caught.value.where


def test_seeds_have_their_own_ensembles(root: Path):
    raw = pipeline(root, seeds=2, teachers=["mlp", "mlp"])
    nodes = {n.name: n for n in make_plan(Pipeline.model_validate(raw), root)}
    assert nodes["teacher@1"].inputs["softlabels-2"] is nodes["softlabels-2@1"]
    assert nodes["teacher-2@1"].key != nodes["teacher-1@1"].key


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"teacher": "mlp", "teachers": ["mlp"]}, "either `teacher` or `teachers`"),
        ({"teacher_weights": "score"}, "give `teachers`"),
        ({"teachers": ["mlp"], "student": {"copy_of": "teacher"}, "prune": True}, "to copy"),
        ({"teachers": ["mlp"], "softlabels": {"top": 3}}, "mixed from all"),
        ({"teachers": ["mlp"], "budget": {"accuracy_drop": 0.1}}, "accuracy_drop"),
        ({"teachers": ["mlp"], "distill": {"method": {"name": "at"}}}, "one network of torch"),
        (
            {
                "teachers": ["mlp"],
                "teacher_weights": "confidence",
                "data": {"source": "digits", "augment": {"mixup": 0.2}},
            },
            "have two",
        ),
    ],
)
def test_what_does_not_go_together_is_told(more: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=words):
        edgekd.run({"name": "a", **more}, runs=tmp_path)
