"""A student that learns with its peers, in a pipeline: nothing of them is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from three_bands import samples

import edgekd
from edgekd.models.saved import load
from edgekd.train.history import History

TRAIN = {"epochs": 2, "batch_size": 32, "precision": "float32"}


def test_a_cohort_in_a_pipeline(tmp_path: Path):
    x, y = samples(90)
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    raw = {
        "name": "a",
        "data": str(tmp_path / "mine.npz"),
        "teacher": {"model": "mlp", "train": TRAIN},
        "student": {"model": {"name": "mlp", "width": 0.25}},
        "distill": {"method": {"name": "mutual", "peers": ["mlp x 0.5", "mlp"]}, "train": TRAIN},
    }
    result = edgekd.run(raw, until="distill", runs=tmp_path / "runs")
    assert [s.name for s in result.summary.stages] == ["data", "teacher", "distill"]
    (folder,) = result.folder.glob("distill-*")
    assert (load(folder).settings.name, load(folder).settings.width) == ("mlp", 0.25)
    assert "mutual" in History.load(folder).epochs[-1].parts
    assert not (folder / "checkpoint").exists()
    again = edgekd.run(raw | {"seed": 0}, until="distill", runs=tmp_path / "runs")
    assert all(stage.cached for stage in again.summary.stages)
