"""A trial that diverges loses; only where all do is there nothing to choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import DivergedError
from edgekd.pipeline import run
from edgekd.stages import tune
from edgekd.store import read_json

pytestmark = pytest.mark.slow


def searched(runs: Path, **train: Any) -> Any:
    few = {"epochs": 1, "batch_size": 256}
    raw = {
        "name": "tuned",
        "teacher": {"model": {"name": "resnet8", "width": 0.5}, "train": few},
        "student": {"model": {"name": "dscnn", "width": 0.25}},
        "distill": {"method": {"name": "kd", "temperature": "auto"}, "train": {**few, **train}},
    }
    return run(raw, until="tune", runs=runs)


def test_a_corner_that_diverges_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = tune._trial

    def sometimes(job: Any, data: Any, candidate: Any, *more: Any) -> Any:
        if candidate.temperature == 16:
            raise DivergedError("The loss became inf.")
        return trial(job, data, candidate, *more)

    monkeypatch.setattr(tune, "_trial", sometimes)
    summary = searched(tmp_path).summary
    assert 16 not in {row.temperature for row in summary.tuning}
    assert len({row.temperature for row in summary.tuning}) == 4
    (manifest,) = (tmp_path / "tuned").glob("tune-*/manifest.json")
    assert "1 of them diverged" in read_json(manifest)["note"]


def test_where_every_trial_diverges_it_is_said(tmp_path: Path) -> None:
    wild = {"optimizer": "sgd", "learning_rate": 1e30, "clip_norm": None, "warmup_epochs": 0}
    with pytest.raises(DivergedError, match="The loss became"):
        searched(tmp_path, **wild)
