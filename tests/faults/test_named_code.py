"""Code runs only where the user's own pipeline file names it: a saved network names some, too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgekd
from edgekd.deploy.command import compress
from edgekd.errors import EdgekdError
from edgekd.pipeline import resolve
from edgekd.plan import make_plan

PIPELINE = {
    "name": "tiny",
    "data": {"source": "npz", "path": "tiny.npz"},
    "teacher": {"model": "mlp", "train": {"epochs": 1}},
    "student": {"model": {"name": "mlp", "width": 0.25}},
    "distill": {"train": {"epochs": 1}},
}
CODE = """
from pathlib import Path

Path("ran").touch()

def make(*arguments, **named):
    Path("ran").touch()
"""


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder has data and a saved network, whose folder has code and asks for it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    np.savez("tiny.npz", x=rng.normal(size=(90, 5)).astype(np.float32) + y[:, None], y=y)
    edgekd.run(PIPELINE, until="teacher")
    (made,) = Path("runs/tiny").glob("teacher-*")
    folder = made.rename(tmp_path / "theirs")
    (folder / "evil.py").write_text(CODE)
    description = json.loads((folder / "model.json").read_text())
    description["settings"] |= {"name": None, "python": "theirs/evil.py:make"}
    (folder / "model.json").write_text(json.dumps(description))
    return folder


@pytest.mark.parametrize("train", [None, {"epochs": 1}])
def test_a_saved_network_runs_no_code_that_the_pipeline_does_not_name(saved, train):
    """The weights are those of the network that the pipeline names, and are used as that."""
    teacher = {"model": "mlp", "weights": str(saved), "train": train}
    result = edgekd.run({**PIPELINE, "name": "given", "teacher": teacher}, until="teacher")
    assert not Path("ran").exists()
    assert (result.folder / result.summary.stages[-1].folder / "model.safetensors").is_file()


def test_the_same_code_runs_where_the_pipeline_names_it(saved):
    teacher = {"model": {"python": "theirs/evil.py:make"}, "weights": str(saved), "train": None}
    with pytest.raises(EdgekdError, match="NoneType"):
        edgekd.run({**PIPELINE, "name": "named", "teacher": teacher}, until="teacher")
    assert Path("ran").exists()


def test_compress_runs_no_code_that_only_the_saved_network_names(saved):
    with pytest.raises(EdgekdError, match="only where you name it") as caught:
        compress(str(saved), data="tiny.npz", budget="40 kB")
    assert "theirs/evil.py:make" in caught.value.fix and "--weights" in caught.value.fix
    assert not Path("ran").exists()
    with pytest.raises(EdgekdError):  # it gives no network
        compress("theirs/evil.py:make", data="tiny.npz", budget="40 kB", weights=saved)
    assert Path("ran").exists()


@pytest.mark.parametrize("where", ["the pipeline file", "--set"])
def test_a_plan_runs_no_code(saved, where):
    """The keys of stages need the source of what is named, and not its answers."""
    model = {"python": "theirs/evil.py:make"}
    named = {**PIPELINE, "student": {"model": model}}
    Path("p.yaml").write_text(json.dumps(named if where == "the pipeline file" else PIPELINE))
    overrides = [f"student.model={json.dumps(model)}"] if where == "--set" else []
    plan = make_plan(*resolve("p.yaml", overrides))
    assert any("evil.py" in node.settings.model_dump_json() for node in plan)
    assert not Path("ran").exists()
