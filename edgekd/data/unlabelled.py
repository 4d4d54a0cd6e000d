"""Samples without labels, beside the labelled ones: a student learns them of the teacher alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekd.spec import Task

if TYPE_CHECKING:
    from edgekd.data.dataset import Split

NO_CLASS = -1
"""In the place of a class that nobody knows; of several labels and of numbers it is NaN."""


class Joined:
    """Two arrays, one after the other, as one, without a copy of either.

    Args:
        first: (N, *shape).
        second: (M, *shape), of the same type.
    """

    def __init__(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        self.first, self.second = first, second
        self.dtype = first.dtype
        self.shape = (len(first) + len(second), *first.shape[1:])

    @property
    def size(self) -> int:
        """Number of values."""
        return self.first.size + self.second.size

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.concatenate([self.first, self.second]).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[Any]:
        """The samples at `index`, in memory."""
        place = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        later = place >= len(self.first)
        found = np.empty((len(place), *self.shape[1:]), self.dtype)
        found[~later] = self.first[place[~later]]
        found[later] = self.second[place[later] - len(self.first)]
        return found


def with_unlabelled(train: Split, x: NDArray[Any], ids: NDArray[Any] | None, task: Task) -> Split:
    """The training samples and, after them, those without labels."""
    from edgekd.data.dataset import Split

    y = np.asarray(train.y)
    unknown = NO_CLASS if task in ("classification", "binary") else np.nan
    names = None
    if train.ids is not None and ids is not None:
        names = np.concatenate([train.ids, ids])
    nothing = np.full((len(x), *y.shape[1:]), unknown, y.dtype)
    return Split(Joined(train.x, x), np.concatenate([y, nothing]), names)
