"""The teacher check in a pipeline: figures, warnings, and the student that is as good already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from three_bands import samples

import edgekd
from edgekd.errors import StageError
from edgekd.models.saved import load
from edgekd.progress import Progress
from edgekd.report.page import render
from edgekd.stages.check import no_better
from edgekd.stages.report import details
from edgekd.statistics import wilson_interval

TRAIN = {"epochs": 3, "batch_size": 32, "precision": "float32"}


class Messages(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def write_data(path: Path) -> None:
    x, y = samples(150)
    np.savez(path, x=x, y=np.array(["ant", "bee", "cat"])[y])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("check")
    write_data(root / "mine.npz")
    return root


def run(root: Path, until: str, **more: object) -> tuple[edgekd.RunResult, list[str]]:
    pipeline = {
        "name": "a",
        "data": str(root / "mine.npz"),
        "teacher": {"model": {"name": "mlp", "width": 0.25}, "train": TRAIN},
        "student": "resnet8",
        "distill": {"method": {"name": "kd", "temperature": 2}, "train": TRAIN},
    } | more
    told = Messages()
    return edgekd.run(pipeline, until=until, runs=root / "runs", progress=told), told.said


def test_a_run_tells_what_its_teacher_is_worth(root: Path):
    result, said = run(root, "distill")
    (figures,) = result.summary.teachers
    models = {model.stage: model for model in result.summary.models}
    assert figures.validation == models["teacher"].validation
    assert (figures.temperature, figures.n) == (2.0, 107)
    assert figures.ece is not None and figures.outside is not None
    network = load(next((root / "runs/a").glob("teacher-*")))
    data = np.load(next((root / "runs/a").glob("data-*")) / "train_x.npy")
    labels = np.load(next((root / "runs/a").glob("data-*")) / "train_y.npy")
    import torch

    with torch.no_grad():
        logits = network.model(torch.from_numpy(network.spec.input.normalise(data)))
    assert figures.wrong == pytest.approx((logits.argmax(1).numpy() != labels).mean(), abs=0.01)
    p = (logits / 2).softmax(1)
    assert figures.outside == pytest.approx(float(1 - p.amax(1).mean()), abs=2e-3)
    # The larger student is better than this teacher, and the run says so.
    assert models["distill"].validation.value >= figures.validation.value
    (stage,) = [stage for stage in result.summary.stages if stage.name == "distill"]
    assert any("no better than the student" in text for text in stage.warnings)
    assert any("no better than the student" in text for text in said)
    page = render(result.summary, details(result.summary, result.folder))
    assert "What there is to learn from the teacher" in page


def test_a_new_temperature_looks_again_and_asks_no_teacher(root: Path):
    method = {"method": {"name": "kd", "temperature": 8}, "train": TRAIN}
    first, _ = run(root, "check")
    second, _ = run(root, "check", distill=method)
    made = {stage.name: stage.cached for stage in second.summary.stages}
    assert made == {"data": True, "teacher": True, "softlabels": True, "check": False}
    before, after = first.summary.teachers[0], second.summary.teachers[0]
    assert after.entropy > before.entropy and after.ece == before.ece


def test_a_poor_teacher_is_told_before_anything_is_learned(root: Path):
    teacher = {
        "model": {"name": "mlp", "width": 0.25},
        "train": TRAIN | {"epochs": 1, "learning_rate": 1e-6},
    }
    result, said = run(root, "check", teacher=teacher)
    assert any("The teacher is poor" in text for text in said)
    assert result.summary.stages[-1].warnings


def test_a_saved_teacher_with_its_classes_in_another_order_is_refused(root: Path):
    run(root, "teacher")
    folder = next((root / "runs/a").glob("teacher-*"))
    more = {
        "data": {"source": "npz", "path": str(root / "mine.npz"), "labels": ["bee", "ant", "cat"]},
        "teacher": {"model": "mlp", "train": None, "weights": str(folder)},
    }
    with pytest.raises(StageError, match="another order"):
        run(root, "teacher", **more)


@pytest.mark.parametrize(("teacher", "student", "warned"), [(90, 89, False), (90, 90, True)])
def test_no_better_is_about_validation(teacher: int, student: int, warned: bool):
    from edgekd.results import Accuracy

    def score(right: int) -> Accuracy:
        low, high = wilson_interval(right, 100)
        return Accuracy(
            value=right / 100, low=low, high=high, n=100, runtime="torch", split="validation"
        )

    assert (no_better(score(teacher), score(student)) is not None) == warned
    assert no_better(None, score(student)) is None
