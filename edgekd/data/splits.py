"""Splitting samples off, seeded and stratified by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgekd.data.dataset import Split
from edgekd.errors import DataError

LEAST = 2
"""A class that is split needs a sample on either side."""


def split_off(
    split: Split, share: float, seed: int, labels: Sequence[str], *, what: str, where: str
) -> tuple[Split, Split]:
    """Splits a share of the samples off, every class by the same share.

    Args:
        share: of the samples, above 0 and below 0.5.
        labels: names of the classes, for errors.
        what: the part that is split off, such as "validation"; a field of `data`.
        where: the file and the array.

    Returns:
        What remains, and what was split off, both in the order of the input.

    Raises:
        DataError: a class has a single sample, or there are fewer samples than classes.
    """
    from sklearn.model_selection import train_test_split

    counts = np.bincount(split.y, minlength=len(labels))
    few = [
        f"{label!r} ({count})"
        for label, count in zip(labels, counts.tolist(), strict=True)
        if 0 < count < LEAST
    ]
    if few:
        raise DataError(
            f"A class has too few samples to split a {what} part off: {', '.join(few[:5])}.",
            where=where,
            fix=f"add samples of it, or put x_{_array(what)} and y_{_array(what)} into the file",
        )
    try:
        kept, taken = train_test_split(
            np.arange(len(split)), test_size=share, stratify=split.y, random_state=seed
        )
    except ValueError as error:  # scikit-learn: fewer samples on a side than classes
        raise DataError(
            f"{len(split)} samples of {int((counts > 0).sum())} classes are too few to split "
            f"{share:.0%} off as the {what} part.",
            where=where,
            fix=f"raise data.{what}, or add samples",
        ) from error
    return _take(split, kept), _take(split, taken)


def _take(split: Split, index: ArrayLike) -> Split:
    order = np.sort(np.asarray(index))
    return Split(split.x[order], split.y[order])


def _array(what: str) -> str:
    return "val" if what == "validation" else what
