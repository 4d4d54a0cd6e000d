"""Corrupt artefacts and checkpoints: told, with what to remove, and never computed with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
import torch
from tiny_run import contents, run

from edgekd.errors import StageError
from edgekd.train import checkpoint


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit": flip,
    "cut off": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
}


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
