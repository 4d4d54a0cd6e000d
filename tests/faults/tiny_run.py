"""A pipeline that takes a moment, for the faults that meet it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import edgekd

PIPELINE: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": "npz", "path": "tiny.npz"},
    "teacher": {"model": "mlp", "train": {"epochs": 2}},
    "student": {"model": {"name": "mlp", "width": 0.25}},
    "distill": {"train": {"epochs": 1}},
}
LAST = "distill"


def write_data(folder: Path) -> None:
    """Ninety samples of three classes."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    np.savez(folder / "tiny.npz", x=rng.normal(size=(90, 5)).astype(np.float32) + y[:, None], y=y)


def run(runs: str | Path = "runs") -> edgekd.RunResult:
    """The stages up to the student, in the current folder."""
    return edgekd.run(PIPELINE, until=LAST, runs=runs)


def contents(folder: Path) -> dict[str, bytes]:
    """All files of finished stages but those that tell seconds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.glob("*-*/**/*"))
        if path.is_file() and path.name not in {"manifest.json", "history.json"}
    }


def manifests(folder: Path) -> dict[str, bytes]:
    """By finished stage; it holds the digest of every file, and the seconds that making it took."""
    return {
        path.parent.name: path.read_bytes() for path in sorted(folder.glob("*-*/manifest.json"))
    }
