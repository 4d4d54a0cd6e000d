"""A real run, made once, and copies of it whose figures are changed as a test needs them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edgekd

CLASSES = ("ant", "bee", "cat")
TRAIN = {"epochs": 3, "batch_size": 64, "precision": "float32"}
Edit = Callable[[dict[str, Any]], None]


def make_run(root: Path) -> Path:
    """Trains on bands of light that noise half hides; the file is ONNX, in float32."""
    y = np.arange(900) % 3
    x = np.random.default_rng(0).normal(0, 1.2, (900, 8, 8)).astype(np.float32)
    for label in range(3):
        x[y == label, label * 2 : label * 2 + 3] += 1
    np.savez(root / "mine.npz", x=x, y=np.array(CLASSES)[y])
    pipeline = {
        "name": "mine",
        "data": str(root / "mine.npz"),
        "teacher": {
            "model": {"name": "mlp", "width": 0.25},
            "train": TRAIN,
            "require": {"accuracy": 0},
        },
        "student": {"model": {"name": "mlp", "width": 0.25}},
        "distill": {"method": "kd", "train": TRAIN},
        "quantize": None,
        "quality": False,
        "export": {"formats": ["onnx"], "precisions": ["float32"]},
        "bench": {"quick": True, "min_runs": 5, "runtimes": ["onnxruntime"], "threads": [1]},
        "budget": {"size": "1 MB", "accuracy": "50 %", "latency": {"p50": "1 s"}},
    }
    return edgekd.run(pipeline, runs=root / "runs").folder


def changed(run: Path, to: Path, edit: Edit) -> Path:
    """A copy of a run whose `summary.json` went through `edit`."""
    shutil.copytree(run, to)
    path = to / "summary.json"
    raw = json.loads(path.read_text())
    edit(raw)
    path.write_text(json.dumps(raw))
    return to


def student(raw: dict[str, Any]) -> dict[str, Any]:
    """The deployed file's figures."""
    return next(m for m in raw["models"] if m["stage"] == "student" and m["format"] == "onnx")


def bench_of(raw: dict[str, Any]) -> dict[str, Any]:
    """Its measurement."""
    path = student(raw)["path"]
    return next(row for row in raw["bench"] if row["model"] == path)


def timed(raw: dict[str, Any], p50: float, error: float, processes: int = 8) -> None:
    """Sets the median in µs, its relative standard error and the number of processes."""
    from scipy.stats import t

    half = t.ppf(0.975, max(processes - 1, 1)) * error
    row = bench_of(raw)
    row["processes"], row["disturbed"] = processes, []
    row["latency_us"] |= {
        "p50": p50,
        "p50_low": p50 * float(np.exp(-half)),
        "p50_high": p50 * float(np.exp(half)),
    }


def answered(run: Path, right: np.ndarray) -> None:
    """Makes the student right in just these test samples, in its answers and its figures."""
    folder = next(run.glob("distill-*"))
    y = np.load(next(run.glob("data-*")) / "test_y.npy")
    answers = np.where(right, y, (y + 1) % 3)
    np.save(folder / "test_logits.npy", 4 * np.eye(3, dtype=np.float32)[answers])
    path = run / "summary.json"
    raw = json.loads(path.read_text())
    student(raw)["accuracy"] |= {"value": float(right.mean()), "n": len(y)}
    path.write_text(json.dumps(raw))


def another_file(run: Path) -> None:
    """Another export: other bytes, and the SHA-256 beside them is theirs."""
    import hashlib

    path = next(run.glob("export-*/student-float32.onnx"))
    path.write_bytes(path.read_bytes() + b"\x00")
    beside = path.with_name(f"{path.name}.json")
    told = json.loads(beside.read_text())
    told["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    beside.write_text(json.dumps(told))
