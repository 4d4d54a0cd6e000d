"""The quality stage on files of a linear classifier, whose answers numpy knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import Tiny

from edgekd.config.quality import QualitySettings
from edgekd.data.dataset import Dataset, Split, fingerprint, save
from edgekd.progress import SILENT
from edgekd.quality.shifts import Shift, apply
from edgekd.stages import quality
from edgekd.stages.base import Job, Made
from edgekd.store import write_json

TINY = Tiny(shape=(1, 4, 4), peak=None)
ROLES = (("teacher", ("float32",)), ("student", ("float32", "int8")))


def split(n: int, seed: int) -> Split:
    x = 0.5 * TINY.samples(n, seed)
    y = TINY.logits(x).argmax(1)
    wrong = np.arange(n) % 10 == 0
    return Split(x, np.where(wrong, (y + 1) % 4, y))


def prepared(root: Path, form: str) -> dict[str, Path]:
    """Artefacts of the stages before: the data, and the files of teacher and student."""
    splits = {"train": split(20, 2), "validation": split(150, 3), "test": split(250, 4)}
    labels = TINY.spec.labels
    spec = TINY.spec.input
    assert spec.kind == "image"
    save(Dataset("d", *splits.values(), spec, labels, fingerprint(splits, labels)), root / "data")
    for role, precisions in ROLES:
        folder = root / f"{role}-0"
        folder.mkdir()
        models = [
            {
                "stage": role, "seed": 0, "format": form, "precision": precision,
                "path": TINY.write(folder, form, precision).name,
                "bytes": 1, "parameters": 1, "macs": 1,
            }
            for precision in precisions
        ]  # fmt: skip
        write_json(folder / "manifest.json", {"models": models})
    return {"data": root / "data", "teacher": root / "teacher-0", "student": root / "student-0"}


def ask(root: Path, form: str = "tflite", **settings: object) -> Made:
    stage = quality.QualityStage(
        quality=QualitySettings.model_validate(settings),
        format=form,  # type: ignore[arg-type]
        quantized=True,
    )
    return quality.run(Job(stage, prepared(root, form), root, "quality", 0, root, SILENT))


@pytest.mark.parametrize("form", ["tflite", "onnx"])
def test_figures_are_those_of_numpy(tmp_path: Path, form: str):
    made = ask(tmp_path, form)
    files = {(q.stage, q.precision): q for q in made.quality}
    assert set(files) == {(role, p) for role, precisions in ROLES for p in precisions}
    teacher = files["teacher", "float32"]
    assert teacher.clean.value == pytest.approx(0.9) and teacher.clean.n == 250
    assert teacher.runtime == {"tflite": "litert", "onnx": "onnxruntime"}[form]
    assert teacher.model == f"teacher-0/float32.{form}"
    test = split(250, 4)
    for row in teacher.shifts:
        shift = Shift(row.shift, row.severity, row.unit)
        x = apply(test.x, range(250), TINY.spec.input, shift, 0)
        right = (TINY.logits(x).argmax(1) == test.y).mean()
        assert row.score.value == pytest.approx(right, abs=1.5 / 250), row.extent
    student = files["student", "float32"]
    assert student.retention == 1 and teacher.retention is None
    assert student.calibration is not None and student.calibration.n == 250
    assert [row.agreement for row in student.shifts] == [1] * 13
    assert all(row.agreement > 0.8 for row in files["student", "int8"].shifts)


def test_samples_and_time_are_bounded(tmp_path: Path):
    made = ask(tmp_path, samples=200, seconds=1e-6)
    assert {q.clean.n for q in made.quality} == {100}
    assert made.warnings[0].startswith("The models are slow")
    assert "100 of 200 samples" in made.warnings[0]


def test_no_shifts_leave_the_calibration(tmp_path: Path):
    nothing = {"noise": [], "blur": [], "brightness": [], "contrast": []}
    made = ask(tmp_path, images=nothing)
    assert all(q.shifted is None and q.retention is None and q.calibration for q in made.quality)
    assert "calibration error" in made.note
