"""Splitting samples off, seeded and stratified by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekd.data.dataset import Split
from edgekd.errors import DataError
from edgekd.inputs import take
from edgekd.spec import Task

LEAST = 2
"""A class that is split needs a sample on either side."""


def split_off(
    split: Split,
    share: float,
    seed: int,
    labels: Sequence[str],
    *,
    what: str,
    where: str,
    task: Task = "classification",
) -> tuple[Split, Split]:
    """Splits a share of the samples off: of every class the same, and of several labels by the
    rarest that a sample has; a regression's samples are drawn at random.

    Args:
        share: of the samples, above 0 and below 0.5.
        labels: names of the classes, for errors.
        what: the part that is split off, such as "validation"; a field of `data`.
        where: the file and the array.
        task: what the targets are.

    Returns:
        What remains, and what was split off, both in the order of the input.

    Raises:
        DataError: a class has a single sample, or there are fewer samples than classes.
    """
    from sklearn.model_selection import train_test_split

    if task in ("multilabel", "regression"):
        return _split_numbers(split, share, seed, what, where, task)
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


def take_groups(
    groups: NDArray[Any], share: float, seed: int, what: str, where: str
) -> NDArray[np.bool_]:
    """Which samples are taken: whole groups in a seeded order, until the share is reached as nearly
    as it can be; at least one group is taken and one is left.

    Args:
        groups: (N,), the group of each sample.
        what: the part that is split off, for errors.

    Raises:
        DataError: there is a single group.
    """
    names, member = np.unique(groups, return_inverse=True)
    member = member.reshape(-1)
    if len(names) < LEAST:
        raise DataError(
            f"There are too few groups to split a {what} part off: {len(names)}.",
            where=where,
            fix="let data.group name something that has more values, or leave it out",
        )
    sizes = np.bincount(member)
    wanted, now = share * len(groups), 0
    taken = []
    for group in np.random.default_rng(seed).permutation(len(names))[:-1]:
        if not taken or abs(now + sizes[group] - wanted) < abs(now - wanted):
            taken.append(group)
            now += sizes[group]
    return np.isin(member, taken)


def _split_numbers(
    split: Split, share: float, seed: int, what: str, where: str, task: Task
) -> tuple[Split, Split]:
    """Targets (N, L): seeded; of several labels, each group with the same rarest label by itself.

    What rounding takes too much of in one group, it leaves in the next.
    """
    n = len(split)
    if not 1 <= round(share * n) < n:
        raise DataError(
            f"{n} samples are too few to split {share:.0%} off as the {what} part.",
            where=where,
            fix=f"raise data.{what}, or add samples",
        )
    groups = _rarest(split.y) if task == "multilabel" else np.zeros(n, np.int64)
    generator = np.random.default_rng(seed)
    taken = np.zeros(n, bool)
    owed = 0.0
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        owed += share * len(members)
        count = round(owed)
        owed -= count
        taken[generator.permutation(members)[:count]] = True
    return _take(split, np.flatnonzero(~taken)), _take(split, np.flatnonzero(taken))


def _rarest(y: NDArray[Any]) -> NDArray[np.int64]:
    """(N,): the rarest label that each sample has; the number of labels where it has none."""
    order = np.argsort(np.asarray(y).sum(0), kind="stable")
    has = np.asarray(y)[:, order] > 0
    return np.where(has.any(1), order[has.argmax(1)], y.shape[1])


def _take(split: Split, index: ArrayLike) -> Split:
    order = np.sort(np.asarray(index))
    ids = split.ids[order] if split.ids is not None else None
    return Split(take(split.x, order), split.y[order], ids)


def _array(what: str) -> str:
    return "val" if what == "validation" else what
