"""Pipelines without a teacher's network: soft labels from a file, made by `edgekd labels`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from three_bands import samples
from typer.testing import CliRunner

import edgekd
from edgekd.cli import app
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError, StageError
from edgekd.labels import make_labels
from edgekd.plan import make_plan
from edgekd.report.page import render
from edgekd.report.terminal import summary_table
from edgekd.stages.report import details

TRAIN = {"epochs": 3, "batch_size": 32, "precision": "float32"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of three classes, a pipeline over it, and its soft labels in a file."""
    root = tmp_path_factory.mktemp("labels")
    x, y = samples(150)
    np.savez(root / "mine.npz", x=x, y=np.array(["ant", "bee", "cat"])[y])
    (root / "p.yaml").write_text(json.dumps(pipeline(root)))
    command = ["labels", str(root / "p.yaml"), "--out", str(root / "soft.npz")]
    done = CliRunner().invoke(app, [*command, "--runs", str(root / "runs")])
    assert done.exit_code == 0, done.output
    assert "outside the top class" in done.stdout
    return root


def pipeline(root: Path, **more: Any) -> dict[str, Any]:
    augment = {"shift": 1, "views": 3}
    return {
        "name": "a",
        "data": {"source": "npz", "path": str(root / "mine.npz"), "augment": augment},
        "teacher": {"model": "mlp", "train": TRAIN},
        "student": {"model": {"name": "resnet8", "width": 0.5}},
        "distill": {"method": "kd", "train": TRAIN},
    } | more


def run(root: Path, name: str, until: str | None = "distill", **more: Any) -> edgekd.RunResult:
    return edgekd.run(pipeline(root, **more) | {"name": name}, until=until, runs=root / "runs")


def test_labels_from_a_file_teach_the_same_bits(root: Path):
    here = run(root, "a")
    there = run(root, "b", teacher={"labels": str(root / "soft.npz")})

    def student(result: edgekd.RunResult) -> bytes:
        (folder,) = result.folder.glob("distill-*")
        return (folder / "model.safetensors").read_bytes()

    assert student(here) == student(there)
    ours, theirs = here.summary.teachers[0], there.summary.teachers[0]
    assert theirs.validation is not None and ours.validation is not None
    assert theirs.validation.value == ours.validation.value
    assert (theirs.ece, theirs.outside) == (ours.ece, ours.outside)


def test_stages_that_need_a_network_are_left_out_and_the_report_says_so(root: Path):
    teacher = {"labels": str(root / "soft.npz"), "require": {"accuracy": 0.5}}
    settings = {"formats": ["onnx"]}
    result = run(root, "whole", None, teacher=teacher, export=settings, bench="quick")
    names = [stage.name for stage in result.summary.stages]
    assert names == [
        "data", "teacher", "softlabels", "check", "distill", "compare",
        "export", "quality", "bench",
    ]  # fmt: skip
    assert {model.stage for model in result.summary.models} == {"distill", "student"}
    assert {row.stage for row in result.summary.quality} == {"student"}
    assert {row.stage for row in result.summary.retention} == {"teacher", "distill"}
    page = render(result.summary, details(result.summary, result.folder))
    assert "no network that could be exported" in page
    assert "soft.npz" in page
    assert summary_table(result.summary) is not None


def test_nothing_trains_before_wrong_labels_are_refused(root: Path):
    with np.load(root / "soft.npz") as file:
        arrays = dict(file)
    logits = arrays["train_logits"].copy()
    logits[1, 7, 2] = np.nan
    np.savez(root / "nan.npz", **(arrays | {"train_logits": logits}))
    with pytest.raises(StageError, match="A soft label is nan") as caught:
        run(root, "nan", teacher={"labels": str(root / "nan.npz")})
    assert "sample 7, class cat" in caught.value.where
    assert [path.name[:4] for path in (root / "runs/nan").glob("*-*")] == ["data"]


def test_labels_of_other_data_are_refused(root: Path):
    with np.load(root / "mine.npz") as file:
        np.savez(root / "other.npz", x=file["x"] + 1, y=file["y"])
    data = {"source": "npz", "path": str(root / "other.npz"), "augment": {"shift": 1, "views": 3}}
    with pytest.raises(StageError, match="made for other data"):
        run(root, "other", data=data, teacher={"labels": str(root / "soft.npz")})


def test_labels_by_position_need_no_fingerprint(root: Path):
    """A colleague has the .npz file alone, and answers all its samples in their order."""
    with np.load(root / "mine.npz") as file:
        classes, x = file["y"], file["x"]
    names = ["bee", "cat", "ant"]
    p = np.where(np.array(names) == classes[:, None], 0.8, 0.1)
    given = {"train_probabilities": p, "train_ids": np.arange(len(x)).astype(str)}
    np.savez(root / "colleague.npz", labels=np.array(names), **given)
    result = run(root, "colleague", "check", teacher={"labels": str(root / "colleague.npz")})
    (figures,) = result.summary.teachers
    assert figures.wrong == 0 and figures.validation is None
    (note, *_) = [s.warnings for s in result.summary.stages if s.name == "teacher"]
    assert any("as they are" in text for text in note)


def test_without_answers_on_test_nothing_is_compared(root: Path):
    result = run(root, "blind", "compare", teacher={"labels": str(root / "colleague.npz")})
    assert result.summary.retention == [] and result.summary.stages[-1].name == "compare"
    assert set(details(result.summary, result.folder).confusion) == {"student"}


def test_a_score_cannot_be_required_of_labels_that_do_not_tell_it(root: Path):
    teacher = {"labels": str(root / "colleague.npz"), "require": {"accuracy": 0.5}}
    with pytest.raises(StageError, match="no answers on validation"):
        run(root, "gate", "teacher", teacher=teacher)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"teacher": {"labels": "a.npz", "onnx": "b.onnx"}}, "take `labels` away|take `onnx` away"),
        ({"teacher": {"labels": "a.npz", "train": {"epochs": 3}}}, "take `train` away"),
        ({"teacher": {"labels": "nowhere.npz"}}, "teacher.labels"),
        ({"budget": {"accuracy_drop": 0.01}, "teacher": {"labels": "a.npz"}}, "accuracy_drop"),
        (
            {"teacher": {"labels": "a"}, "student": {"copy_of": "teacher"}, "prune": True},
            "no weights",
        ),
    ],
)
def test_what_does_not_go_together_is_told(more: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=words):
        edgekd.run({"name": "a", **more}, runs=tmp_path)


def test_a_pipeline_that_learns_from_labels_has_no_soft_labels(tmp_path: Path):
    with pytest.raises(ConfigError, match="no soft labels"):
        make_labels({"name": "a", "distill": "labels"}, runs=tmp_path)


def test_the_top_classes_are_enough_to_learn_from(root: Path):
    result = run(root, "top", softlabels={"top": 1})
    (folder,) = result.folder.glob("softlabels-*")
    assert np.load(folder / "top.npy").shape[::2] == (3, 1)
    assert not (folder / "logits.npy").exists()
    whole = run(root, "a").summary.teachers[0]
    (figures,) = result.summary.teachers
    assert figures.outside == pytest.approx(whole.outside, abs=1e-3)
    assert figures.wrong == whole.wrong
    with pytest.raises(ConfigError, match="top classes only"):
        make_labels(pipeline(root, softlabels={"top": 1}), out=root / "t.npz", runs=root / "runs")


def test_the_files_content_is_in_the_key(root: Path):
    def key() -> str:
        raw = pipeline(root, teacher={"labels": str(root / "keyed.npz")})
        nodes = make_plan(Pipeline.model_validate(raw), root)
        return next(node.key for node in nodes if node.stage == "teacher")

    (root / "keyed.npz").write_bytes((root / "soft.npz").read_bytes())
    first = key()
    (root / "keyed.npz").write_bytes((root / "colleague.npz").read_bytes())
    assert key() != first
