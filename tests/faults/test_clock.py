"""A clock that jumps by years, between the stages and while they work, as the system shows it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import contents, run, write_data

HERE = Path(__file__).parent
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime, which .ci/run installs")
def test_a_clock_that_jumps_within_a_run(whole, tmp_path, monkeypatch):
    """It shows another year in each stage: the same bytes are made, and are found afterwards."""
    write_data(tmp_path)
    for name in ("telling.py", "tiny_run.py"):
        shutil.copy(HERE / name, tmp_path)
    clock = tmp_path / "clock"
    clock.write_text("+0")
    env = {
        **os.environ,
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # A real clock that is set does not move the monotonic one.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "telling", str(clock)],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    years = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("year ")]
    assert len(set(years)) > 2, done.stdout  # it did jump
    folder = tmp_path / "runs" / "tiny"
    assert contents(folder) == contents(whole / "runs" / "tiny")
    for manifest in folder.glob("*-*/manifest.json"):
        assert 0 <= json.loads(manifest.read_text())["seconds"] < 600
    monkeypatch.chdir(tmp_path)
    assert all(stage.cached for stage in run().summary.stages)
