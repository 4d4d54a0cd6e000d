"""Running a small script of edgekd in an environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgekd.environments.make import HERE
from edgekd.errors import StageError

PATIENCE = 1800.0
"""Seconds that a script may take."""
LAST = 600
"""Characters of what it said that an error shows."""
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")


def run(python: Path, script: str, arguments: Sequence[str | Path], folder: Path) -> str:
    """Runs a script of `edgekd/environments/scripts`.

    Args:
        python: of the environment.
        script: the file's name.
        arguments: its arguments, as they are: no shell sees them.
        folder: where it runs, and may write.

    Returns:
        What it printed.

    Raises:
        StageError: it failed; `where` holds the last it said.
    """
    command = [str(python), "-I", str(HERE / "scripts" / script), *map(str, arguments)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    settings = {name: os.environ[name] for name in KEPT if name in os.environ} | quiet
    # Tools of the environment are called by name: onnx2tf calls onnxsim.
    settings["PATH"] = os.pathsep.join([str(python.parent), settings.get("PATH", os.defpath)])
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=settings,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise StageError(f"{script} took more than {PATIENCE / 60:.0f} minutes.") from error
    if done.returncode != 0:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())
        raise StageError(
            f"{script} failed in its environment.",
            where=said[-LAST:] or f"exit code {done.returncode}",
        )
    return done.stdout
