"""Variations of training images remake what is trained on them, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgekd.config.pipeline import Pipeline
from edgekd.errors import DataError
from edgekd.pipeline import run
from edgekd.plan import make_plan

GIVEN = {"model": "resnet8", "train": None, "weights": "w.safetensors"}


def keys(folder: Path, teacher: object, shift: int) -> dict[str, str]:
    raw = {
        "name": "variations",
        "data": {"source": "digits", "augment": {"shift": shift}},
        "teacher": teacher,
        "quantize": "qat",
    }
    return {node.name: node.key for node in make_plan(Pipeline.model_validate(raw), folder)}


@pytest.mark.parametrize("teacher", ["resnet8", GIVEN])
def test_only_training_depends_on_variations(tmp_path: Path, teacher: object) -> None:
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "w.safetensors")
    before, after = keys(tmp_path, teacher, 0), keys(tmp_path, teacher, 1)
    same = {name for name in before if before[name] == after[name]}
    assert "data" in same
    assert ("teacher" in same) == (teacher is GIVEN)
    assert not same & {"softlabels", "distill", "quantize", "export"}


def test_variations_that_do_not_suit_cached_data_are_refused_before_training(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    raw = {
        "name": "rows",
        "data": {"source": "npz", "path": str(tmp_path / "rows.npz")},
        "teacher": {"model": "mlp", "train": {"epochs": 1}},
        "student": "mlp",
    }
    run(Pipeline.model_validate(raw), runs=tmp_path / "runs", until="data")
    raw["data"] = {**raw["data"], "augment": {"flip": True}}  # type: ignore[dict-item]
    with pytest.raises(DataError, match="image"):
        run(Pipeline.model_validate(raw), runs=tmp_path / "runs")
    assert not list((tmp_path / "runs" / "rows").glob("teacher-*"))
