"""Errors that a user reads: what happened, where, and what to do next.

Every error that edgekd raises on purpose is an `EdgekdError`. The command line prints it on one
screen, without a traceback, and leaves with its `exit_code`.
"""

from __future__ import annotations


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
