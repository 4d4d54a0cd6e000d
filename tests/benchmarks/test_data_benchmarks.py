"""The benchmarks of data run, on tiny files; what they measure is not judged here."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

import edgekd

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "cifar10-jpeg.zip", "w") as archive:
        for i in range(120):
            content = io.BytesIO()
            pixels = rng.integers(0, 128, (32, 32, 3), np.uint8) + np.uint8(120 * (i % 2))
            Image.fromarray(pixels).save(content, "JPEG")
            archive.writestr(
                f"{'test' if i < 20 else 'train'}/{'ab'[i % 2]}/{i}.jpg", content.getvalue()
            )
    with zipfile.ZipFile(folder / "fsdd.zip", "w") as archive:
        for i in range(60):
            content = io.BytesIO()
            wavfile.write(content, 8000, rng.integers(-999, 999, 4000).astype(np.int16))
            archive.writestr(f"recordings/{i % 2}_x_{i // 2}.wav", content.getvalue())
    return folder


def run(name: str, folder: Path, *arguments: object) -> dict:
    command = [sys.executable, "-m", f"benchmarks.data_and_models.{name}", "--results", folder]
    subprocess.run(
        [str(part) for part in (*command, *arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "EDGEKD_CACHE": str(folder / "cache")},
        check=True,
        timeout=600,
    )
    return json.loads((folder / f"{name}.json").read_text())


def test_loading(data: Path, tmp_path: Path) -> None:
    result = run("loading", tmp_path, "--data", data, "--rounds", 1)
    for name, samples in (("fsdd.zip", 60), ("cifar10-jpeg.zip", 120)):
        for kind in ("first", "cached"):
            (found,) = result["figures"][name][kind]
            assert found["samples"] == samples
            assert found["seconds"] > 0 and found["peak_mb"] > 1
    assert not any(str(data) in text for text in (json.dumps(result), result["command"]))


def test_input_pipeline(data: Path, tmp_path: Path) -> None:
    result = run("input_pipeline", tmp_path, "--data", data / "cifar10-jpeg.zip", "--quick")
    for found in result["figures"].values():
        assert found["steps"] == 1 and found["samples"] == 90
        assert 0 <= found["waited_seconds"] <= found["seconds"]
    assert len(result["rows"]) == 4


def test_spoken_digits(tmp_path: Path) -> None:
    recordings = tmp_path / "fsdd.zip"
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(recordings, "w") as archive:
        for i in range(200):
            content = io.BytesIO()
            pitch = np.sin(np.arange(4000) * (0.1 + 0.15 * (i % 4)))
            wave = 8000 * pitch + rng.normal(0, 300, 4000)
            wavfile.write(content, 8000, wave.astype(np.int16))
            archive.writestr(f"{i % 4}_{'xyz'[i % 3]}_{i // 4}.wav", content.getvalue())
    arguments = ("--data", recordings, "--quick", "--work", tmp_path)
    figures = run("spoken_digits", tmp_path, *arguments)["figures"]
    assert figures["test_samples"] == 20
    assert figures["student_bytes"][0] < 60_000
    assert len(figures["seconds"]) == 1


def test_compress_resnet56(data: Path, tmp_path: Path) -> None:
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
    result = run("compress_resnet56", tmp_path, *arguments, "--budget", "100 kB, -99 %")
    figures = result["figures"]
    assert figures["all_cached"] and figures["exit_code"] == 0
    measured = [row for row in figures["candidates"]["candidates"] if "bytes" in row]
    assert len(measured) == 1 and measured[0]["candidate"] == figures["candidates"]["winner"]
    assert figures["bytes"] <= 100_000
    assert figures["seconds_again"] < figures["seconds"]


def test_cifar10(data: Path, tmp_path: Path) -> None:
    arguments = ("--data", data / "cifar10-jpeg.zip", "--quick", "--work", tmp_path)
    result = run("cifar10", tmp_path, *arguments, "--set", "export.formats=[tflite]")
    distilled, alone = result["figures"]["distilled"], result["figures"]["alone"]
    gain = result["figures"]["distilled_minus_alone"]
    assert distilled["teacher"]["value"] == alone["teacher"]["value"], "one teacher for both"
    assert distilled["parameters"] == alone["parameters"]
    assert gain["n"] == 20 and gain["low"] <= gain["mean"] <= gain["high"]
    assert not any(str(tmp_path) in text for text in (json.dumps(result), result["command"]))
