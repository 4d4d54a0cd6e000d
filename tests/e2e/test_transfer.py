"""A network of the ten digits teaches a student of three other classes by its feature maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import edgekd
from sklearn.datasets import load_digits

pytestmark = pytest.mark.slow

TEACHER = """
name: digits
data: digits
teacher: {model: resnet8, train: {epochs: 8}}
"""
STUDENT = """
name: thirds
data: thirds.npz
teacher: {model: resnet8, weights: teacher, features_only: true}
student: {model: {name: resnet8, width: 0.5}}
distill: {method: {name: fitnet, weight: 1, ce_weight: 0}, train: {epochs: 10}}
finetune: {method: labels, train: {epochs: 8}}
quantize: {mode: qat, train: {epochs: 2}}
export: {formats: [onnx]}
quality: false
bench: {quick: true, min_runs: 1, min_seconds: 0.1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("transfer")
    (place / "digits.yaml").write_text(TEACHER)
    edgekd("run", "digits.yaml", "--until", "teacher", cwd=place)
    (made,) = place.glob("runs/digits/teacher-*")
    made.rename(place / "teacher")
    digits = load_digits()
    x = digits.images[:, None].astype(np.uint8)
    np.savez(place / "thirds.npz", x=x, y=(digits.target % 3).astype(np.int64))
    (place / "thirds.yaml").write_text(STUDENT)
    return place


def test_the_student_learns_the_maps_first_and_its_classes_then(folder):
    done = edgekd("run", "thirds.yaml", cwd=folder)
    assert "feature maps only" in done.stdout
    (distilled,) = folder.glob("runs/thirds/distill-*/history.json")
    history = json.loads(distilled.read_text())
    parts = [epoch["parts"]["fitnet"] for epoch in history["epochs"]]
    assert parts[-1] < 0.9 * parts[0]
    assert history["best_epoch"] == len(parts)  # nothing says which epoch is the best
    summary = json.loads((folder / "runs/thirds/summary.json").read_text())
    by_stage = {model["stage"]: model for model in summary["models"]}
    assert "teacher" not in by_stage
    assert by_stage["finetune"]["accuracy"]["value"] > 0.8
    assert (folder / "runs/thirds/report.html").stat().st_size > 0


def test_weights_of_another_network_are_refused(folder):
    text = STUDENT.replace("teacher: {model: resnet8", "teacher: {model: resnet20")
    (folder / "other.yaml").write_text(text)
    done = edgekd("run", "other.yaml", cwd=folder, expect=1)
    assert "lack layers before the classifier" in done.stderr
