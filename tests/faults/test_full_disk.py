"""A full disk and a read-only folder, real ones: told, nothing finished is lost, and it goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_run import LAST, PIPELINE, contents, manifests, run

import edgekd
from edgekd.errors import StageError

SIZE = 16 << 20
"""Bytes of the small disk."""


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def disk(project: Path, tmp_path: Path) -> Iterator[Path]:
    """A disk in memory; the current folder has the pipeline's data."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root and mount, to make a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs the right to mount a small disk: {error.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def leave(disk: Path, free: int) -> None:
    """Fills the disk up to so many bytes."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - free)))


def test_a_full_disk_in_every_stage(disk, whole):
    """With more and more space, until the stage has enough."""
    stopped, known = set(), {}
    for stage in ("data", "teacher", "softlabels", LAST):
        free = 0
        while True:
            leave(disk, free)
            try:
                edgekd.run(PIPELINE, until=stage, runs=disk / "runs")
                break
            except StageError as error:
                assert error.what == "The disk is full.", error
                stopped.add(error.where.partition(",")[0])
            found = manifests(disk / "runs" / "tiny")
            assert known.items() <= found.items()
            known, free = found, max(4096, 4 * free)
            assert free < SIZE
    assert stopped >= {"data", "teacher", "softlabels", LAST, "the summary and the report"}
    assert contents(disk / "runs" / "tiny") == contents(whole / "runs" / "tiny")


@pytest.mark.parametrize("finished", [None, "teacher", LAST])
def test_a_read_only_folder(disk, whole, finished):
    if finished:
        edgekd.run(PIPELINE, until=finished, runs=disk / "runs")
    known = manifests(disk / "runs" / "tiny")
    mount("-o", "remount,ro", disk)
    with pytest.raises(StageError, match="Read-only file system") as caught:
        run(disk / "runs")
    assert str(disk) in caught.value.where and "--runs" in caught.value.fix
    mount("-o", "remount,rw", disk)
    assert manifests(disk / "runs" / "tiny") == known
    run(disk / "runs")
    assert known.items() <= manifests(disk / "runs" / "tiny").items()
    assert contents(disk / "runs" / "tiny") == contents(whole / "runs" / "tiny")


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_a_cache_that_cannot_be_written_stops_nothing(disk, whole, state, monkeypatch, tmp_path):
    """What is kept between runs is made again."""
    monkeypatch.setenv("EDGEKD_CACHE", str(disk / "cache"))
    leave(disk, 0) if state == "full" else mount("-o", "remount,ro", disk)
    run(tmp_path / "other")
    assert contents(tmp_path / "other" / "tiny") == contents(whole / "runs" / "tiny")
