"""Confusion matrices: their drawing, and what the student lost of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.statistics import wilson_interval

Matrix = NDArray[np.integer[Any]]

MOST_CELLS = 3000
"""Cells drawn at most, so that a thousand classes do not make a page of many megabytes."""
MOST_NUMBERED = 20
"""Classes up to which cells show their number and every class its name."""


@dataclass(frozen=True)
class Cell:
    """A drawn cell: column, row, its text, how strong its colour is, and what it says."""

    x: int
    y: int
    count: int
    strength: float
    right: bool
    tooltip: str


@dataclass(frozen=True)
class Drawing:
    """A confusion matrix ready for confusion.svg.j2."""

    classes: int
    labels: tuple[str, ...]
    """Shortened names of the classes."""
    numbered: bool
    cells: list[Cell]
    left_out: int
    """Cells with answers that are not drawn."""
    right: int
    n: int


def draw(matrix: Matrix, labels: tuple[str, ...]) -> Drawing:
    """Lays out `matrix` (C, C); a cell's strength is its share of its true class."""
    names = _names(matrix, labels)
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = matrix / totals
    rows, columns = np.nonzero(matrix)
    order = np.argsort(-shares[rows, columns], kind="stable")[:MOST_CELLS]
    cells = [
        Cell(
            x=int(column),
            y=int(row),
            count=int(matrix[row, column]),
            strength=round(float(shares[row, column]), 3),
            right=bool(row == column),
            tooltip=f"{names[row]} answered as {names[column]}: {matrix[row, column]} of "
            f"{totals[row, 0]}",
        )
        for row, column in zip(rows[order], columns[order], strict=True)
    ]
    return Drawing(
        classes=len(matrix),
        labels=tuple(_short(name) for name in names),
        numbered=len(matrix) <= MOST_NUMBERED,
        cells=cells,
        left_out=len(rows) - len(cells),
        right=int(np.trace(matrix)),
        n=int(matrix.sum()),
    )


@dataclass(frozen=True)
class Recall:
    """How a class fares: right answers of teacher and student among its `n` test samples."""

    label: str
    n: int
    teacher: int
    student: int
    low: float
    """Lower end of the student's 95 % interval (Wilson)."""
    high: float
    """Upper end."""

    @property
    def difference(self) -> float:
        """The student's recall minus the teacher's, -1 to 1."""
        return (self.student - self.teacher) / self.n


def lost_most(
    teacher: Matrix, student: Matrix, labels: tuple[str, ...], most: int = 10
) -> list[Recall]:
    """The classes that lost recall, at most `most`, the worst first; none where none lost.

    Args:
        teacher: (C, C), rows true classes.
        student: the same of the student, on the same samples.
        labels: names of the classes.

    Classes without test samples have no recall and are left out.
    """
    names = _names(teacher, labels)
    totals = teacher.sum(axis=1)
    recalls = []
    for index in np.flatnonzero(totals):
        n, right = int(totals[index]), int(student[index, index])
        low, high = wilson_interval(min(right, n), n)
        before = int(teacher[index, index])
        recalls.append(Recall(names[index], n, before, right, low, high))
    lost = [recall for recall in recalls if recall.difference < 0]
    return sorted(lost, key=lambda recall: recall.difference)[:most]


def _names(matrix: Matrix, labels: tuple[str, ...]) -> tuple[str, ...]:
    return labels if len(labels) == len(matrix) else tuple(str(i) for i in range(len(matrix)))


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"
