"""What comes back from the agent, as a result or as an error that a user reads."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.errors import StageError
from edgekd.store import parse_json

TAIL_LINES = 12
OVER = 124
"""Exit code of a job that took too long; see `attached.py`."""


def ask(
    command: Sequence[str], job: dict[str, Any], timeout: float, what: str, cwd: Path | None = None
) -> dict[str, Any]:
    """The result of a job in a process of this machine.

    Args:
        command: takes the paths of the job and of the result as two arguments more.
        timeout: seconds after which it is ended.
        what: names the job in errors.
        cwd: where it runs, and leaves other files.

    Raises:
        StageError: it reports an error, crashes, or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        order, answer = Path(folder) / "job.json", Path(folder) / "result.json"
        order.write_text(json.dumps(job), encoding="utf-8")
        try:
            done = subprocess.run(
                [*command, str(order), str(answer)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                cwd=cwd,
            )
        except subprocess.TimeoutExpired as error:
            raise took_too_long(timeout, what) from error
        text = answer.read_text(encoding="utf-8") if answer.is_file() else None
        return read_result(text, what, done.returncode, done.stderr.decode("utf-8", "replace"))


def read_result(answer: str | None, what: str, code: int, stderr: str) -> dict[str, Any]:
    """The agent's result.

    Args:
        answer: what the agent wrote, None if it did not come so far.
        what: names the job in errors.
        code: the agent's exit code; negative for a signal.
        stderr: what it printed; its end is shown where there is no result.

    Raises:
        StageError: there is no result, or it tells of an error.
    """
    if answer is None:
        told = tail(stderr)
        raise StageError(
            f"The benchmark's process ended without a result: {ending(code)}.",
            where=f"{what}\n{told}" if told else what,
        )
    try:
        result = parse_json(answer)
    except ValueError as error:
        raise StageError("A benchmark's result cannot be read.", where=what) from error
    if not isinstance(result, dict):
        raise StageError("A benchmark's result cannot be read.", where=what)
    if not result.get("ok"):
        place = str(result.get("where") or "")
        raise StageError(
            str(result.get("error")),
            where=f"{what}: {place}" if place not in what else what,
            fix=str(result.get("fix") or ""),
        )
    return result


def took_too_long(seconds: float, what: str) -> StageError:
    """The error of a job that was ended."""
    return StageError(
        f"Measuring was ended after {seconds:.0f} s.",
        where=what,
        fix="measure fewer runs, or a smaller model",
    )


def tail(stderr: str) -> str:
    """The last lines of what a program printed, set off."""
    return "\n".join(f"  | {line}" for line in stderr.strip().splitlines()[-TAIL_LINES:])


def ending(code: int) -> str:
    """How a process ended; `code` is negative for a signal."""
    if code >= 0:
        return f"exit code {code}"
    known = {s.value: s.name for s in signal.Signals}
    return f"killed by {known.get(-code, f'signal {-code}')}"
