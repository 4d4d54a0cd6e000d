"""What comes back from the agent, as a result or as an error that a user reads."""

from __future__ import annotations

import json
import signal
from typing import Any

from edgekd.errors import StageError

TAIL_LINES = 12
OVER = 124
"""Exit code of a job that took too long; see `attached.py`."""


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
        result = json.loads(answer)
    except ValueError as error:
        raise StageError("A benchmark's result cannot be read.", where=what) from error
    if not result.get("ok"):
        place = result.get("where") or ""
        raise StageError(
            str(result.get("error")),
            where=f"{what}: {place}" if place not in what else what,
            fix=result.get("fix", ""),
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
