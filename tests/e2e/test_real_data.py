"""The shipped pipelines of recordings and pictures on the real ones, small.

$EDGEKD_TEST_DATA names a folder with fsdd.zip and cifar10-jpeg.zip; benchmarks/README.md says what
they are.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from commands import edgekd

from edgekd.results import Summary

DATA = Path(os.environ.get("EDGEKD_TEST_DATA", "")).resolve()
SHORT = (
    "teacher.require.accuracy=0",
    "teacher.model.width=0.5",
    "teacher.train.batch_size=32",
    "distill.train.batch_size=32",
    "quantize.train.epochs=1",
    "data.augment.views=2",
    "quality.samples=100",
    "bench.threads=[1]",
)

pytestmark = pytest.mark.slow


def needs(name: str) -> Path:
    """A file of the data, or a skip that says which is missing."""
    if not os.environ.get("EDGEKD_TEST_DATA") or not (DATA / name).is_file():
        pytest.skip(f"EDGEKD_TEST_DATA names no folder with {name}")
    return DATA / name


def run(pipeline: str, folder: Path, *settings: str) -> Summary:
    options = [part for value in (*SHORT, *settings) for part in ("--set", value)]
    edgekd("run", pipeline, *options, cwd=folder)
    return Summary.model_validate_json((folder / "runs" / pipeline / "summary.json").read_text())


def int8_accuracy(summary: Summary) -> float:
    (model,) = [
        m
        for m in summary.models
        if (m.stage, m.format, m.precision) == ("student", "tflite", "int8")
    ]
    assert model.accuracy is not None
    return model.accuracy.value


def test_spoken_digits(tmp_path: Path) -> None:
    recordings = needs("fsdd.zip")
    told = edgekd("data", recordings, "--label", "^([0-9])_", cwd=tmp_path).stdout
    assert "3,000 recordings of 10 classes" in told
    summary = run(
        "spoken-digits",
        tmp_path,
        f"data.root={DATA}",
        "teacher.train.epochs=4",
        "distill.train.epochs=5",
    )
    assert int8_accuracy(summary) > 0.4, "far above the tenth that guessing gives"
    assert {row.shift for model in summary.quality for row in model.shifts} >= {"noise", "gain"}


def test_cifar10(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(needs("cifar10-jpeg.zip")) as whole,
        zipfile.ZipFile(tmp_path / "few.zip", "w") as few,
    ):
        names: dict[str, list[str]] = {}
        for name in sorted(whole.namelist()):
            names.setdefault(str(Path(name).parent), []).append(name)
        for folder, files in names.items():
            for name in files[: 60 if folder.startswith("train") else 20]:
                few.writestr(name, whole.read(name))
    summary = run(
        "cifar10",
        tmp_path,
        f"data.path={tmp_path / 'few.zip'}",
        "teacher.model.name=resnet8",
        "teacher.train.epochs=4",
        "distill.train.epochs=5",
    )
    assert int8_accuracy(summary) > 0.15, "above the tenth that guessing gives"
    (student,) = [m for m in summary.models if (m.stage, m.format) == ("student", "tflite")
                  and m.precision == "int8"]  # fmt: skip
    assert student.bytes <= 98_000
