"""Corrupt artefacts and checkpoints: told, with what to remove, and never computed with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import edgekd
from edgekd.errors import StageError
from edgekd.train import checkpoint

PIPELINE = {
    "name": "tiny",
    "data": {"source": "npz", "path": "tiny.npz"},
    "teacher": {"model": "mlp", "train": {"epochs": 2}},
    "student": {"model": {"name": "mlp", "width": 0.25}},
    "distill": {"train": {"epochs": 1}},
}


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit": flip,
    "cut off": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
}


def run() -> edgekd.RunResult:
    return edgekd.run(PIPELINE, until="distill")


def contents(folder: Path) -> dict[str, bytes]:
    """All files of finished stages but those that tell seconds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.glob("*-*/**/*"))
        if path.is_file() and path.name not in {"manifest.json", "history.json"}
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    np.savez(folder / "tiny.npz", x=rng.normal(size=(90, 5)).astype(np.float32) + y[:, None], y=y)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run()
    return folder


@pytest.fixture
def project(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the current folder."""
    shutil.copytree(whole, tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p" / "runs" / "tiny"


def test_a_copied_run_folder_is_taken_as_it_is(project):
    assert all(stage.cached for stage in run().summary.stages)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_corrupt_file_is_told_and_what_to_remove(project, whole, damage):
    """Every file of every stage in turn; the next run then makes the same bytes again."""
    intact = contents(whole / "runs" / "tiny")
    damaged = sorted(path for path in project.glob("*-*/**/*") if path.is_file())
    assert {"data", "teacher", "softlabels", "distill"} <= {
        path.relative_to(project).parts[0].rpartition("-")[0] for path in damaged
    }
    for path in damaged:
        content = path.read_bytes()
        path.write_bytes(DAMAGE[damage](content))
        if path.read_bytes() == content:  # it was empty before
            continue
        folder = project / path.relative_to(project).parts[0]
        with pytest.raises(StageError) as caught:
            run()
        assert folder.name in caught.value.fix, caught.value
        path.write_bytes(content)
    shutil.rmtree(folder)
    assert not all(stage.cached for stage in run().summary.stages)
    assert contents(project) == intact


def test_a_missing_file_is_told(project):
    (path,) = project.glob("softlabels-*/logits.npy")
    path.unlink()
    with pytest.raises(StageError, match=r"logits\.npy is missing"):
        run()


@pytest.mark.parametrize("seconds", [-(10**9), 10**9])
def test_times_that_jump_make_nothing_again(project, seconds):
    for path in project.rglob("*"):
        found = path.stat()
        os.utime(path, (found.st_atime + seconds, found.st_mtime + seconds))
    assert all(stage.cached for stage in run().summary.stages)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_corrupt_checkpoint_is_passed_over(tmp_path, damage):
    kept = checkpoint.Checkpoint(
        {"model.w": torch.randn(64), "optimizer.0.step": torch.tensor(3.0)},
        {"fingerprint": "abc", "epoch": 3},
    )
    checkpoint.write(tmp_path, kept)
    found = checkpoint.read(tmp_path, "abc")
    assert found is not None and torch.equal(found.tensors["model.w"], kept.tensors["model.w"])
    path = tmp_path / checkpoint.FILE
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert checkpoint.read(tmp_path, "abc") is None
