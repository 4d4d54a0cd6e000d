"""Damaged caches: what a killed run left half-made, and what is kept between runs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image
from tiny_run import contents, manifests, run

import edgekd
from edgekd.errors import DataError


def test_half_a_cache_of_a_killed_run_is_made_again(project, whole):
    """The soft labels and what a student's training had written when it was killed."""
    for stage, rest in (("softlabels", "logits.npy"), ("distill", "model.safetensors")):
        (made,) = project.glob(f"{stage}-*")
        half = project / ".work" / made.name
        made.rename(half)
        (half / "manifest.json").unlink()
        content = (half / rest).read_bytes()
        (half / rest).write_bytes(content[: len(content) // 2])
    run()
    assert contents(project) == contents(whole / "runs" / "tiny")


@pytest.mark.parametrize("left", [0, 0.5])
def test_notes_that_were_cut_off_change_no_key(project, tmp_path, monkeypatch, left):
    """Fingerprints of files, and what was parsed of edgekd's sources."""
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    known = manifests(project)
    for _ in range(2):
        assert all(stage.cached for stage in run().summary.stages)
        for note in (tmp_path / "cache").rglob("*.json"):
            content = note.read_bytes()
            note.write_bytes(content[: int(left * len(content))])
    assert manifests(project) == known


@pytest.mark.parametrize("damage", ["cut off", "removed"])
def test_decoded_data_that_is_not_whole_is_told_and_what_to_remove(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(40):
        folder = tmp_path / "pictures" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    pipeline = {"name": "few", "data": {"source": "image_folder", "path": "pictures"}}
    edgekd.run(pipeline, until="data")
    (made,) = (tmp_path / "runs" / "few").glob("data-*")
    before = contents(tmp_path / "runs" / "few")
    shutil.rmtree(made)
    (cached,) = (tmp_path / "cache").glob("*/train_x.npy")
    content = cached.read_bytes()
    cached.unlink()
    if damage == "cut off":
        cached.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read") as caught:
        edgekd.run(pipeline, until="data")
    assert str(cached.parent) in str(caught.value)
    shutil.rmtree(cached.parent)
    edgekd.run(pipeline, until="data")
    assert contents(tmp_path / "runs" / "few") == before
