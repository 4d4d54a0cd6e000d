"""Artefacts are whole or absent, and a folder has one writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.errors import EdgekdError, StageError
from edgekd.store import Store, canonical_json, digest, locked, read_json, write_atomic


def test_a_finished_artefact_is_found_again(tmp_path):
    store = Store(tmp_path)
    assert store.finished("distill", "abc") is None
    with store.making("distill", "abc") as out:
        (out / "weights").write_bytes(b"1")
        assert store.finished("distill", "abc") is None
        store.finish("distill", "abc", out, {"seconds": 1.0})
    assert store.finished("distill", "abc") == {"seconds": 1.0}
    assert (store.path("distill", "abc") / "weights").read_bytes() == b"1"


def test_what_was_begun_is_still_there_after_a_failure(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(RuntimeError), store.making("teacher", "k") as out:
        (out / "checkpoint").write_text("epoch 3")
        raise RuntimeError
    with store.making("teacher", "k") as out:
        assert (out / "checkpoint").read_text() == "epoch 3"
    assert store.finished("teacher", "k") is None


def test_discard_removes_both(tmp_path):
    store = Store(tmp_path)
    with store.making("teacher", "k") as out:
        store.finish("teacher", "k", out, {})
    store.discard("teacher", "k")
    assert store.finished("teacher", "k") is None


def test_a_lock_keeps_another_process_out_and_dies_with_its_owner(tmp_path):
    path = tmp_path / "lock"
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom edgekd.store import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"held\n"
    with pytest.raises(EdgekdError, match="Another edgekd"), locked(path):
        pass
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    with locked(path):
        pass


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_atomic(path, "old")

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_broken_manifest_says_what_to_do(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text("{")
    with pytest.raises(StageError, match="remove its folder"):
        read_json(path)


def test_digest_does_not_depend_on_order():
    assert digest({"a": 1, "b": [1.5, None]}) == digest({"b": [1.5, None], "a": 1})
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"\\u00e9","b":1}'
    with pytest.raises(ValueError, match="Out of range"):
        digest(float("nan"))


def test_paths_stay_inside(tmp_path):
    store = Store(tmp_path)
    assert store.path("teacher", "k").parent == Path(tmp_path)
