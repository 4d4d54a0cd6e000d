"""kill -9 in the middle of a training: the same command ends at the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import command, edgekd, environment, quick

pytestmark = pytest.mark.slow

SETTINGS = quick("teacher.model=resnet8", "data.augment.views=2", "quantize.train.epochs=6")
RUN = ("run", "digits", *SETTINGS, "--until", "quantize")


def weights(folder: Path) -> dict[str, bytes]:
    """Every artefact's weights by its path: keys are equal, so the paths are, too."""
    runs = folder / "runs/digits"
    return {
        str(path.relative_to(runs)): path.read_bytes()
        for path in sorted(runs.rglob("*.safetensors"))
        if ".work" not in path.parts
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    edgekd(*RUN, cwd=folder)
    return weights(folder)


def heed_ctrl_c() -> None:
    """A shell starts what it puts in the background with Ctrl-C ignored; a user's is not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(folder: Path, stage: str, sign: signal.Signals) -> tuple[int, str]:
    """Starts the run and sends `sign` once `stage` has a checkpoint."""
    with subprocess.Popen(
        command(*RUN), cwd=folder, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 (no thread runs here)
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 300
        while not list(folder.glob(f"runs/digits/.work/{stage}-*/checkpoint/*.safetensors")):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, sign)
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize("stage", ["teacher", "distill", "quantize"])
def test_kill_9(stage, uninterrupted, tmp_path):
    code, _ = interrupt(tmp_path, stage, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not list(tmp_path.glob(f"runs/digits/{stage}-*"))
    edgekd(*RUN, cwd=tmp_path)
    found = weights(tmp_path)
    assert found.keys() == uninterrupted.keys()
    different = [path for path in found if found[path] != uninterrupted[path]]
    assert not different


def test_ctrl_c_says_what_is_kept(tmp_path):
    code, errors = interrupt(tmp_path, "teacher", signal.SIGINT)
    assert code == 1
    assert "Traceback" not in errors
    assert "Stopped" in errors
    assert "the same command goes on" in errors
    assert list(tmp_path.glob("runs/digits/data-*/manifest.json"))
