"""Two runs of one pipeline at once: each stage is made once, and both end well."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from forked import run_module
from tiny_run import LAST, PIPELINE, contents, write_data

import edgekd
from edgekd.progress import Progress
from edgekd.store import locked

HERE = Path(__file__).parent


@pytest.mark.parametrize("finished", ["nothing", "the teacher"])
def test_two_at_once(whole, tmp_path, finished):
    """Of a shared stage that another run folder of the place has, both take that one's files."""
    write_data(tmp_path)
    for name in ("telling.py", "tiny_run.py"):
        shutil.copy(HERE / name, tmp_path)
    if finished == "the teacher":
        (tmp_path / "runs").mkdir()
        shutil.copytree(whole / "runs" / "tiny", tmp_path / "runs" / "other")
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with ThreadPoolExecutor(2) as both:
        started = [
            both.submit(run_module, ["telling"], cwd=tmp_path, env=env, timeout=300)
            for _ in range(2)
        ]
        done = [each.result() for each in started]
    assert [each.returncode for each in done] == [0, 0], done
    made = Counter(
        line.split()[1]
        for each in done
        for line in each.stdout.splitlines()
        if line.startswith("made ")
    )
    assert set(made.values()) == {1}
    wanted = {"data", "teacher", "softlabels", "check", "distill"}
    assert set(made) == (wanted if finished == "nothing" else wanted - {"teacher", "softlabels"})
    assert contents(tmp_path / "runs" / "tiny") == contents(whole / "runs" / "tiny")


def test_a_run_waits_for_the_one_that_makes_a_stage(project, whole):
    """And tells; then it takes what that one made."""
    (student,) = project.glob(f"{LAST}-*")
    kept = student.rename(project.parent / "kept")
    told = threading.Event()

    class Hears(Progress):
        def message(self, text):
            if "waiting for it" in text:
                told.set()

        def stage_started(self, stage):
            raise AssertionError(f"{stage} is made twice")

    with ThreadPoolExecutor(1) as other:
        with locked(project / ".work" / f"{student.name}.lock"):
            second = other.submit(edgekd.run, PIPELINE, until=LAST, progress=Hears())
            assert told.wait(60)
            kept.rename(student)
        assert all(stage.cached for stage in second.result(60).summary.stages)
    assert contents(project) == contents(whole / "runs" / "tiny")
