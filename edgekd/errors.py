"""Errors that a user reads: what happened, where, and what to do next.

Every error that edgekd raises on purpose is an `EdgekdError`. The command line prints it on one
screen, without a traceback, and leaves with its `exit_code`.
"""

from __future__ import annotations

import errno
import re

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a system answers where a disk is full."""
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
"""What it answers where a folder is read-only, or somebody else's."""
NO_MEMORY = re.compile(r"can't allocate memory|out of memory|bad_alloc", re.IGNORECASE)
"""What torch says in a RuntimeError where others raise a MemoryError."""


class EdgekdError(Exception):
    """A failure that is explained to the user.

    Args:
        what: what happened, one sentence.
        where: the file, field, layer or sample that it happened at; may be empty.
        fix: what to do next; may be empty.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)


class ConfigError(EdgekdError):
    """The pipeline file, a device file or the command's arguments are wrong."""

    exit_code = 2


class DataError(EdgekdError):
    """The data cannot be used as it is."""


class StageError(EdgekdError):
    """A stage could not do its work."""


class DivergedError(StageError):
    """A training whose loss is not finite."""


class BudgetMissed(EdgekdError):
    """Everything ran, and the result misses a budget of the pipeline file."""

    exit_code = 3


def of_system(error: Exception, where: str = "") -> StageError | None:
    """What an error means that comes from the machine and not from edgekd: a full disk, a forbidden
    folder, no memory; None for others.

    Args:
        where: what was being done; without it, the file that the error names.
    """
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and NO_MEMORY.search(str(error))
    ):
        return StageError(
            "Memory ran out.",
            where=where or str(error),
            fix="take smaller batches (train.batch_size) or networks, or end other programs, and "
            "run the same command again: finished stages and the last finished epoch are kept",
        )
    if not isinstance(error, OSError):
        return None
    named = " and ".join(str(name) for name in (error.filename, error.filename2) if name)
    # numpy counts what it could write to a file, and does not tell why it was less.
    short = error.errno is None and re.fullmatch(r"\d+ requested and \d+ written", str(error))
    if error.errno in FULL or short:
        return StageError(
            "The disk is full.",
            where=where or named,
            fix="free some space and run the same command again: finished stages and the last "
            "finished epoch are kept. Or write elsewhere with --runs",
        )
    if error.errno in FORBIDDEN:
        return StageError(
            f"The system does not let edgekd read or write this: {error.strerror}.",
            where=", ".join(part for part in (where, named) if part),
            fix="give yourself the right to it, or write elsewhere: run folders with --runs, what "
            "is kept between runs with EDGEKD_CACHE. Finished stages are kept",
        )
    return None
