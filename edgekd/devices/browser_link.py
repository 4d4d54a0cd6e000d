"""What the server's threads and the device share: one browser, its jobs, and what it answers."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekd.errors import StageError

SILENCE = 30.0
"""Seconds without a word after which a browser is gone: while it works it calls every 2 s."""
HELD = 15.0
"""Seconds that a question for the next job is held back when there is none."""
LONGEST_TIMES = 64_000_000
"""Octets: eight million measured times."""


class CannotRun(StageError):
    """The browser is there, and its runtime cannot do this job."""


@dataclass
class Work:
    """A job in the browser's hands."""

    number: int
    order: dict[str, Any]
    """What the page is told; see `browser_job.py`."""
    feeds: bytes
    """Inputs that are measured: one sample after the other."""
    chunk: Callable[[int], bytes]
    """Inputs of a part of the test data, made when they are asked for."""
    expected: list[int]
    """Octets of the answers to each part."""
    outputs: dict[int, bytes] = field(default_factory=dict)
    times: bytes = b""
    """Measured times, float64, microseconds."""
    result: dict[str, Any] | None = None
    problem: str | None = None
    """Why there is no result."""


class Link:
    """One browser at a time: the first that comes with the token is given a session, which every
    later request but those for the page itself must name.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.facts: dict[str, Any] | None = None
        """What the browser told about itself; None until one came."""
        self.files: dict[str, Path] = {}
        """What it may fetch, by the name that it is told."""
        self.work: Work | None = None
        self._session: str | None = None
        self._changed = threading.Condition()
        self._heard = 0.0
        self._left = False
        self._over = False
        self._told = False

    def right_token(self, given: str) -> bool:
        """Compared in a time that does not tell how much of it is right."""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def right_session(self, given: str | None) -> bool:
        """Whether a request is the browser's; it was heard then."""
        session = self._session
        if session is None or not hmac.compare_digest((given or "").encode(), session.encode()):
            return False
        with self._changed:
            self._heard, self._left = time.monotonic(), False
        return True

    def greet(self, given: str | None, facts: dict[str, Any]) -> str | None:
        """The session of the browser that is there; None for a second one.

        Args:
            given: the session of a page that was loaded again.
        """
        with self._changed:
            if self._session is not None and not hmac.compare_digest(
                (given or "").encode(), self._session.encode()
            ):
                return None
            again = self._session is not None
            if self._session is None:
                self._session = secrets.token_urlsafe(24)
            if again and self.work is not None and self.work.result is None:
                self.work.problem = "the page was loaded again in the middle"
            self.facts, self._heard, self._left = facts, time.monotonic(), False
            self._changed.notify_all()
            return self._session

    def leave(self) -> None:
        """The page was closed."""
        with self._changed:
            self._left = True
            self._changed.notify_all()

    def next_order(self, seen: int) -> dict[str, Any] | None:
        """The next job for the page, or `{"over": true}`; None if there is none for a while.

        Args:
            seen: number of the last job that it was given.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._waiting(seen), HELD)
            self._heard = time.monotonic()
            if self._over:
                self._told = True
                self._changed.notify_all()
                return {"over": True}
            return self.work.order if self.work is not None and self._waiting(seen) else None

    def _waiting(self, seen: int) -> bool:
        work = self.work
        return work is not None and work.result is None and work.number > seen

    def answer(self, number: int, change: Callable[[Work], None]) -> bool:
        """Writes into the job of a number; False if it is not the present one."""
        with self._changed:
            if self.work is None or self.work.number != number:
                return False
            change(self.work)
            self._changed.notify_all()
            return True

    def wait_for_browser(self, seconds: float) -> bool:
        """Whether one came within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.facts is not None, seconds)

    def do(self, work: Work, seconds: float, what: str) -> dict[str, Any]:
        """Gives the browser a job and waits for its result.

        Args:
            seconds: how long it may take.
            what: names it in errors.

        Raises:
            StageError: the browser went away, could not do it, or took too long.
        """
        end = time.monotonic() + seconds
        with self._changed:
            self.work, self._heard = work, time.monotonic()
            self._changed.notify_all()
            while work.result is None and work.problem is None:
                now = time.monotonic()
                if self._left or now - self._heard > SILENCE:
                    self.work = None
                    raise _gone(what, self._left)
                if now > end:
                    self.work = None
                    raise StageError(
                        f"Measuring was ended after {seconds:.0f} s.",
                        where=what,
                        fix="measure fewer runs, or a smaller model",
                    )
                self._changed.wait(min(1.0, end - now + 0.01))
            self.work = None
        if work.problem is not None:
            raise CannotRun("The browser could not run this file.", where=f"{what}: {work.problem}")
        assert work.result is not None
        return work.result

    def finish(self, seconds: float) -> None:
        """Tells the browser that nothing more will come; waits a little for it to hear."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
            if self.facts is not None and not self._left:
                self._changed.wait_for(lambda: self._told or self._left, seconds)


def _gone(what: str, left: bool) -> StageError:
    how = "its page was closed" if left else f"nothing was heard from it for {SILENCE:.0f} s"
    return StageError(
        "The browser went away in the middle of a measurement.",
        where=f"{what}: {how}",
        fix="run the same command again, and keep the page open, in front, and the screen on",
    )
