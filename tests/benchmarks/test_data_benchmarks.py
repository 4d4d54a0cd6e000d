"""The benchmarks of data run, on tiny files; what they measure is not judged here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recordings import write_recordings

import edgekd

pytestmark = pytest.mark.slow

Run = Callable[..., dict[str, Any]]


def test_loading(data: Path, run_benchmark: Run) -> None:
    result = run_benchmark("data_and_models.loading", "--data", data, "--rounds", 1)
    for name, samples in (("fsdd.zip", 60), ("cifar10-jpeg.zip", 120)):
        for kind in ("first", "cached"):
            (found,) = result["figures"][name][kind]
            assert found["samples"] == samples
            assert found["seconds"] > 0 and found["peak_mb"] > 1
    assert not any(str(data) in text for text in (json.dumps(result), result["command"]))


def test_input_pipeline(data: Path, run_benchmark: Run) -> None:
    result = run_benchmark(
        "data_and_models.input_pipeline", "--data", data / "cifar10-jpeg.zip", "--quick"
    )
    for found in result["figures"].values():
        assert found["steps"] == 1 and found["samples"] == 90
        assert 0 <= found["waited_seconds"] <= found["seconds"]
    assert len(result["rows"]) == 4


def test_spoken_digits(tmp_path: Path, run_benchmark: Run) -> None:
    recordings = tmp_path / "fsdd.zip"
    write_recordings(recordings, 200, 4, "xyz")
    arguments = ("--data", recordings, "--quick", "--work", tmp_path)
    figures = run_benchmark("data_and_models.spoken_digits", *arguments)["figures"]
    assert figures["test_samples"] == 20
    assert figures["student_bytes"][0] < 60_000
    assert len(figures["seconds"]) == 1


def test_compress_resnet56(data: Path, tmp_path: Path, run_benchmark: Run) -> None:
    pictures = data / "cifar10-jpeg.zip"
    made = edgekd.run(
        {
            "name": "small",
            "data": {"source": "image_folder", "path": str(pictures)},
            "teacher": {
                "model": {"name": "resnet8", "width": 0.5},
                "train": {"epochs": 4, "batch_size": 16},
                "require": {"accuracy": 0},
            },
            "student": "dscnn",
        },
        until="teacher",
        runs=tmp_path,
    )
    folder = made.summary.stages[-1].folder
    arguments = (pictures, "--teacher", made.folder / folder, "--quick", "--work", tmp_path)
    result = run_benchmark(
        "data_and_models.compress_resnet56", *arguments, "--budget", "100 kB, -99 %"
    )
    figures = result["figures"]
    assert figures["all_cached"] and figures["exit_code"] == 0
    measured = [row for row in figures["candidates"]["candidates"] if "bytes" in row]
    assert len(measured) == 1 and measured[0]["candidate"] == figures["candidates"]["winner"]
    assert figures["bytes"] <= 100_000
    assert figures["seconds_again"] < figures["seconds"]


def test_cifar10(data: Path, tmp_path: Path, run_benchmark: Run) -> None:
    arguments = ("--data", data / "cifar10-jpeg.zip", "--quick", "--work", tmp_path)
    result = run_benchmark(
        "data_and_models.cifar10", *arguments, "--set", "export.formats=[tflite]"
    )
    distilled, alone = result["figures"]["distilled"], result["figures"]["alone"]
    gain = result["figures"]["distilled_minus_alone"]
    assert distilled["teacher"]["value"] == alone["teacher"]["value"], "one teacher for both"
    assert distilled["parameters"] == alone["parameters"]
    assert gain["n"] == 20 and gain["low"] <= gain["mean"] <= gain["high"]
    assert not any(str(tmp_path) in text for text in (json.dumps(result), result["command"]))
