"""A stage that runs out of memory: told, and nothing finished is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import manifests, write_data

HERE = Path(__file__).parent
RUN = """
import resource, sys
import torch
import edgekd
import edgekd.stages.teacher
from edgekd.errors import EdgekdError
from tiny_run import PIPELINE

torch.set_num_threads(1)
wide = {"model": {"name": "mlp", "width": 12}, "train": {"epochs": 1}}
edgekd.run(PIPELINE, until="data")
if sys.argv[1:]:
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), -1))
try:
    edgekd.run({**PIPELINE, "teacher": wide}, until="teacher")
except EdgekdError as error:
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))  # for what libraries do at the end
    sys.exit(f"edgekd: {error}")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_a_network_that_is_larger_than_the_memory(tmp_path: Path) -> None:
    """Its weights take 150 MB, and training it several times as much."""
    write_data(tmp_path)
    (tmp_path / "tiny_run.py").write_bytes((HERE / "tiny_run.py").read_bytes())
    (tmp_path / "wide.py").write_text(RUN)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "wide.py", *words],
            cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip

    bounded = run("bounded")
    assert bounded.returncode == 1, bounded.stdout
    assert "edgekd: Memory ran out." in bounded.stderr, bounded.stderr
    assert "where: teacher, writing to" in bounded.stderr and "Traceback" not in bounded.stderr
    found = manifests(tmp_path / "runs" / "tiny")
    assert [name.partition("-")[0] for name in found] == ["data"]
    again = run()
    assert again.returncode == 0, again.stderr
    after = manifests(tmp_path / "runs" / "tiny")
    assert found.items() <= after.items() and len(after) == 2
