"""A search for a student, as a user runs it: one teacher, several students, and the front."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from commands import edgekd, explained

from edgekd.results import Summary

SEARCH = {
    "name": "wine",
    "data": {"source": "table", "sklearn": "wine"},
    "teacher": {"model": "tablemlp", "train": {"epochs": 20, "batch_size": 32}},
    "student": {
        "search": {"models": ["tablemlp", "mlp"], "widths": [0.125, 1.0]},
        "objective": {"size": "20 kB"},
    },
    "distill": {"train": {"epochs": 10, "batch_size": 32, "learning_rate": 0.01}},
    "quantize": "ptq",
    "quality": False,
    "bench": {"quick": True, "threads": [1]},
    "export": {"formats": ["tflite"], "precisions": ["int8"]},
}


def write(folder: Path, **changes: object) -> None:
    (folder / "wine.yaml").write_text(yaml.safe_dump({**SEARCH, **changes}))


def summary(folder: Path) -> Summary:
    return Summary.model_validate_json((folder / "runs/wine/summary.json").read_text())


@pytest.mark.slow
def test_those_that_fit_are_trained_from_one_teacher(tmp_path):
    write(tmp_path)
    done = edgekd("run", "wine.yaml", cwd=tmp_path, timeout=900)
    for stage in ("data", "teacher", "softlabels", "search"):
        told = [line for line in done.stdout.splitlines() if line.startswith(f"{stage} done in")]
        assert len(told) == 1
    made = summary(tmp_path)
    fit = [row for row in made.search if row.fits]
    assert 2 <= len(fit) < len(made.search)
    assert done.stdout.count("distill done in") == len(fit)
    for row in made.search:
        assert (row.bytes is None or row.bytes <= 20_000) == row.fits or not row.fits
        assert (row.accuracy is not None) == row.fits
    for row in fit:  # the untrained file is the trained one's size
        assert row.bytes and row.trained_bytes
        assert abs(row.bytes - row.trained_bytes) < 0.05 * row.trained_bytes
    assert any(row.front for row in fit)
    (chosen,) = [row for row in fit if row.chosen]
    assert chosen.validation == max(row.validation or 0 for row in fit)
    final = next(m for m in made.models if (m.stage, m.format) == ("student", "tflite"))
    assert final.bytes == chosen.trained_bytes
    page = (tmp_path / "runs/wine/report.html").read_text()
    assert 'id="front"' in page and chosen.candidate in page
    again = edgekd("run", "wine.yaml", cwd=tmp_path)
    assert "done in" not in again.stdout
    assert "0 artefacts" in edgekd("clean", "runs/wine", "--dry-run", cwd=tmp_path).stdout
    wider = {**SEARCH["student"], "objective": {"size": "20 kB", "latency": "9 s"}}
    write(tmp_path, student=wider)  # another objective trains nobody again
    later = edgekd("run", "wine.yaml", cwd=tmp_path, timeout=900)
    assert "search done in" in later.stdout and "distill done in" not in later.stdout


@pytest.mark.slow
def test_if_none_fits_nothing_is_trained_and_the_nearest_is_told(tmp_path):
    student = {**SEARCH["student"], "objective": {"size": "1 kB"}}
    write(tmp_path, student=student)
    done = edgekd("run", "wine.yaml", cwd=tmp_path, expect=3, timeout=600)
    explained(done, "nothing was trained", "the smallest file is", "student.objective")
    assert not list((tmp_path / "runs/wine").glob("distill-*"))


def test_the_plan_and_the_candidates_alone(tmp_path):
    write(tmp_path)
    done = edgekd("run", "wine.yaml", "--plan", cwd=tmp_path)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "data", "search", "teacher", "softlabels", "check",
    ]  # fmt: skip
    student = {"search": {"models": ["resnet8"]}, "objective": {"size": "9 kB"}}
    write(tmp_path, student=student)
    done = edgekd("run", "wine.yaml", cwd=tmp_path, expect=1)  # before any training
    explained(done, "resnet8")
    assert not list((tmp_path / "runs/wine").glob("teacher-*"))
