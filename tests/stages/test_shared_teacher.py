"""The teacher's cost is paid once: by students and run folders that share it, by processes that
want it at once, and after one that was killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from three_bands import samples

import edgekd
from edgekd.pipeline import SUMMARY, read_summary
from edgekd.store import Store

TRAIN = {"epochs": 2, "batch_size": 32, "precision": "float32"}
TEACHER = """
from pathlib import Path
import time
import torch
from torch import nn

class Counting(nn.Module):
    # says to a file what it is asked, outside of training
    def __init__(self, spec, classes, log, pause):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
        self.log, self.pause = log, pause

    def forward(self, x):
        if not self.training:
            with open(self.log, "a") as file:
                print(len(x), file=file)
            time.sleep(self.pause)
        return self.net(x)

def make(spec, classes, log, pause=0.0):
    return Counting(spec, classes, log, pause)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    x, y = samples(90)
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    (tmp_path / "counting.py").write_text(TEACHER)
    return tmp_path


def pipeline(root: Path, pause: float = 0.0, **more: Any) -> dict[str, Any]:
    factory = f"{root / 'counting.py'}:make"
    arguments = {"log": str(root / "asked.txt"), "pause": pause}
    return {
        "name": "a",
        "data": {
            "source": "npz", "path": str(root / "mine.npz"), "augment": {"shift": 1, "views": 4},
        },
        "teacher": {"model": {"python": factory, "arguments": arguments}, "train": TRAIN},
        "student": "mlp",
        "distill": {"method": "kd", "train": TRAIN},
    } | more  # fmt: skip


def views_asked(root: Path) -> int:
    """How often the teacher was asked about the whole training set."""
    (y, *_) = (root / "runs").glob("*/data-*/train_y.npy")
    return (root / "asked.txt").read_text().split().count(str(len(np.load(y))))


@pytest.mark.parametrize("name", ["a", "b"])
def test_two_students_ask_the_teacher_once(root: Path, name: str):
    """In one run folder, and in two."""
    first = edgekd.run(pipeline(root), until="distill", runs=root / "runs")
    assert views_asked(root) == 4
    student = {"model": {"name": "mlp", "width": 2}}
    second = edgekd.run(
        pipeline(root, student=student) | {"name": name}, until="distill", runs=root / "runs"
    )
    assert views_asked(root) == 4
    made = {stage.name: stage.cached for stage in second.summary.stages}
    assert (made["teacher"], made["softlabels"], made["distill"]) == (True, True, False)
    keys = [{s.name: s.key for s in run.summary.stages} for run in (first, second)]
    assert keys[0]["softlabels"] == keys[1]["softlabels"]
    assert keys[0]["distill"] != keys[1]["distill"]


def test_from_makes_it_again_and_does_not_take_another_run_folders(root: Path):
    edgekd.run(pipeline(root), until="check", runs=root / "runs")
    edgekd.run(pipeline(root) | {"name": "b"}, until="check", runs=root / "runs")
    assert views_asked(root) == 4
    again = edgekd.run(
        pipeline(root) | {"name": "b"}, until="check", from_stage="softlabels", runs=root / "runs"
    )
    assert views_asked(root) == 8
    assert [s.cached for s in again.summary.stages] == [True, True, False, False]


def start(root: Path, name: str, pause: float) -> subprocess.Popen[bytes]:
    (root / f"{name}.json").write_text(json.dumps(pipeline(root, pause) | {"name": name}))
    program = (
        "import json, sys, edgekd\n"
        "edgekd.run(json.load(open(sys.argv[1])), until='check', runs=sys.argv[2])\n"
    )
    command = [sys.executable, "-c", program, str(root / f"{name}.json"), str(root / "runs")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def test_two_processes_at_once_make_one_cache(root: Path):
    processes = [start(root, "a", 0.2) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    summary = read_summary(root / "runs/a")
    assert views_asked(root) == 4  # each view once, though two processes wanted them
    (folder,) = (root / "runs/a").glob("softlabels-*")
    assert np.load(folder / "logits.npy").shape[::2] == (4, 3)
    assert (root / "runs/a" / SUMMARY).is_file() and summary.stages
    assert not [path for path in (root / "runs/a/.work").iterdir() if path.is_dir()]


@pytest.mark.slow
def test_two_run_folders_at_once_make_one_cache(root: Path):
    """The second one waits for the first one's teacher and its cache, and takes both."""
    processes = [start(root, name, 0.2) for name in ("a", "b")]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    assert views_asked(root) == 4
    files = [next((root / "runs" / name).glob("softlabels-*/logits.npy")) for name in "ab"]
    assert files[0].samefile(files[1])


def test_a_killed_writer_leaves_nothing_that_is_taken_for_a_cache(root: Path):
    process = start(root, "a", 0.6)
    work = root / "runs/a/.work"
    deadline = time.monotonic() + 100
    while not list(work.glob("softlabels-*/logits.npy")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list((root / "runs/a").glob("softlabels-*"))
    half = np.load(next(work.glob("softlabels-*/logits.npy")))
    assert not half[-1].any()  # the last view was not written yet
    result = edgekd.run(pipeline(root, 0.6), until="check", runs=root / "runs")
    assert {s.name: s.cached for s in result.summary.stages}["teacher"]
    whole = np.load(next((root / "runs/a").glob("softlabels-*/logits.npy")))
    assert whole[-1].any()


def test_an_adopted_artefact_shares_its_bytes(tmp_path: Path):
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    assert not two.adopt("softlabels", "k" * 12)
    with one.making("softlabels", "k" * 12) as out:
        (out / "logits.npy").write_bytes(b"1")
        one.finish("softlabels", "k" * 12, out, {"seconds": 1})
    with two.making("softlabels", "k" * 12):
        assert two.adopt("softlabels", "k" * 12)
    assert two.finished("softlabels", "k" * 12) == {"seconds": 1}
    files = [store.path("softlabels", "k" * 12) / "logits.npy" for store in (one, two)]
    assert files[0].samefile(files[1])
    one.discard("softlabels", "k" * 12)
    assert files[1].read_bytes() == b"1"
