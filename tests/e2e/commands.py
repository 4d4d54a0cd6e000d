"""Running edgekd as a user does: in its own process, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from forked import run_edgekd

QUICK = [
    "teacher.train.epochs=8",
    "teacher.require.accuracy=0",
    "distill.train.epochs=8",
    "prune.train.epochs=3",
    "quantize.train.epochs=3",
    "budget={}",
]
"""The digits pipeline in seconds rather than minutes."""


def quick(*more: str) -> list[str]:
    """`--set` arguments of the quick digits pipeline."""
    return [part for setting in (*QUICK, *more) for part in ("--set", setting)]


def command(*arguments: object) -> list[str]:
    """The command line, with this Python's own edgekd."""
    return [sys.executable, "-c", "from edgekd.cli import main; main()", *map(str, arguments)]


def environment() -> dict[str, str]:
    """No terminal tricks, and threads that leave the other core to the other tests."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}


def edgekd(
    *arguments: object, cwd: Path, expect: int = 0, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Runs edgekd and demands an exit code; no traceback is ever shown."""
    words = [str(word) for word in arguments]
    done = run_edgekd(words, cwd=cwd, env=environment(), timeout=timeout)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def explained(done: subprocess.CompletedProcess[str], *parts: str) -> str:
    """The error of a failed command: on one screen, holding `parts`."""
    text = done.stderr[done.stderr.rindex("edgekd: ") :]
    assert len(text.splitlines()) <= 24
    for part in parts:
        assert part in text, f"{part!r} is not in:\n{text}"
    return text
