"""Tiny files in the form of the benchmarks' data, and how a benchmark is run."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked import run_module
from PIL import Image
from scipy.io import wavfile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cifar10-jpeg.zip, 120 pictures of two classes, and fsdd.zip, 60 recordings."""
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


@pytest.fixture
def run_benchmark(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """run_benchmark("folder.name", *arguments) gives what it wrote; `result` names another file."""

    def run(module: str, *arguments: object, result: str | None = None) -> dict[str, Any]:
        command = [f"benchmarks.{module}", "--results", tmp_path, *arguments]
        done = run_module(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "EDGEKD_CACHE": str(tmp_path / "cache")},
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        name = result or module.rpartition(".")[2]
        found: dict[str, Any] = json.loads((tmp_path / f"{name}.json").read_text())
        return found

    return run
