"""The pipeline file of a point: the user's, with the setting, from any folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from edgekd.config.load import load_pipeline
from edgekd.sweep.point_file import located, write_point_file

FILE = """\
name: mine
data: small.npz
teacher: {model: {python: "nets.py:make"}, weights: w.safetensors}
student: mlp
bench: {devices: [local, board]}
budget: {latency: {device: board, p50: 2 ms}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "devices").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(FILE)
    np.savez(folder / "small.npz", x=np.zeros((2, 3), np.float32), y=np.array([0, 1]))
    (folder / "nets.py").write_text("")
    (folder / "w.safetensors").write_text("")
    (folder / "devices" / "board.yaml").write_text("name: board\n")
    return folder


def test_paths_become_absolute_and_names_stay(project: Path) -> None:
    raw, base = yaml.safe_load(FILE), project
    raw["data"] = {"source": "npz", "path": "small.npz"}
    found = located(raw, base)
    board = str(project / "devices" / "board.yaml")
    assert found == {
        "name": "mine",
        "data": {"source": "npz", "path": str(project / "small.npz")},
        "teacher": {
            "model": {"python": f"{project / 'nets.py'}:make"},
            "weights": str(project / "w.safetensors"),
        },
        "student": "mlp",
        "bench": {"devices": ["local", board]},
        "budget": {"latency": {"device": board, "p50": "2 ms"}},
    }


def test_the_file_is_the_pipeline_with_the_setting(project: Path, tmp_path: Path) -> None:
    source, path = project / "pipeline.yaml", tmp_path / "runs" / "x" / "1.yaml"
    overrides = ["student.model.width=0.5", 'distill.method="dkd"', "distill.method.temperature=2"]
    write_point_file(path, source, overrides, tmp_path / "runs", "width 0.5")
    wanted, _ = load_pipeline(source, overrides)
    made, base = load_pipeline(path)
    assert base == path.parent
    assert (made.student, made.distill) == (wanted.student, wanted.distill)
    assert path.read_text().startswith("# Written by `edgekd sweep`: width 0.5.\n")
