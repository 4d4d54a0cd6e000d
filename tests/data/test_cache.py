"""Fingerprints that are remembered, and arrays that are shared between folders."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from edgekd.data import cache
from edgekd.data.archive import Files
from edgekd.data.assemble import assemble
from edgekd.data.dataset import Split, load, save


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "JUST_NOW", -(10**12))  # as if every file were old
    return tmp_path


def test_an_unchanged_file_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "ü x.bin"
    file.write_bytes(b"one")
    expected = hashlib.sha256(b"one").hexdigest()
    assert cache.file_fingerprint(file) == expected
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert cache.file_fingerprint(file) == expected


def test_a_change_is_noticed_whatever_the_file_says_of_its_age(folder: Path) -> None:
    file = folder / "x.bin"
    file.write_bytes(b"one")
    before = file.stat()
    cache.file_fingerprint(file)
    time.sleep(0.02)
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert cache.file_fingerprint(file) == hashlib.sha256(b"two").hexdigest()
    replaced = folder / "y.bin"
    replaced.write_bytes(b"sic")
    replaced.replace(file)
    assert cache.file_fingerprint(file) == hashlib.sha256(b"sic").hexdigest()


def test_a_file_of_this_moment_is_not_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "JUST_NOW", 2 * 10**9)
    file = folder / "x.bin"
    file.write_bytes(b"one")
    cache.file_fingerprint(file)
    assert not (folder / "cache").exists()


def test_a_broken_note_is_made_again(folder: Path) -> None:
    file = folder / "x.bin"
    file.write_bytes(b"one")
    cache.file_fingerprint(file)
    (note,) = (folder / "cache" / "fingerprints").iterdir()
    for content in ("{", "[]", '{"state": 1}'):
        note.write_text(content)
        assert cache.file_fingerprint(file) == hashlib.sha256(b"one").hexdigest()


def test_folders_are_remembered_by_every_name_and_file(folder: Path) -> None:
    root = folder / "d"
    (root / "a").mkdir(parents=True)
    (root / "a" / "x").write_bytes(b"1")
    (root / "a" / "y").write_bytes(b"2")

    def fingerprint() -> str:
        with Files(root) as files:
            return files.fingerprint()

    seen = [fingerprint()]
    assert fingerprint() == seen[0]
    for change in (
        lambda: (root / "a" / "x").write_bytes(b"3"),
        lambda: (root / "a" / "x").rename(root / "a" / "z"),
        (root / "empty").mkdir,
        lambda: (root / "a" / "new").write_bytes(b""),
    ):
        time.sleep(0.02)
        change()
        seen.append(fingerprint())
    assert len(set(seen)) == 5


def test_a_saved_data_set_is_linked_and_not_copied(folder: Path) -> None:
    rng = np.random.default_rng(0)
    splits = {
        name: Split(rng.integers(0, 256, (20, 1, 4, 4), np.uint8), np.arange(20) % 2)
        for name in ("train", "validation", "test")
    }
    save(assemble("x", splits, ("a", "b")), folder / "one")
    first = load(folder / "one")
    save(first, folder / "two")
    save(first, folder / "one")
    again = load(folder / "two")
    np.testing.assert_array_equal(again.train.x, splits["train"].x)
    assert (folder / "one" / "train_x.npy").samefile(folder / "two" / "train_x.npy")
    assert not list((folder / "two").glob(".*"))
    # parts of a mapped file, and what was made of it, are written as what they are
    flipped = Split(first.train.x[::-1], first.train.y[::-1])
    half = Split(first.test.x[:10], first.test.y[:10])
    viewed = Split(first.validation.x.reshape(20, 1, 2, 8), first.validation.y)
    for part, split in (("flipped", flipped), ("half", half), ("viewed", viewed)):
        changed = assemble("x", dict.fromkeys(splits, split), ("a", "b"))
        save(changed, folder / part)
        np.testing.assert_array_equal(load(folder / part).train.x, split.x)
        assert not (folder / part / "train_x.npy").samefile(folder / part / "test_x.npy")
