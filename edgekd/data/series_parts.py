"""Which steps of a signal are for training, validation and test: no step is in two parts.

Neighbouring windows share steps, so that a random split of windows would test on what it has
trained on. With groups, whole groups go to one part. Without, the signal is cut into contiguous
blocks in time and each goes to one part; a window that would reach over the border of two parts is
left out, so that between the windows of two parts lies no shared step.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import SeriesData
from edgekd.data.series_signal import Signal
from edgekd.data.splits import take_groups
from edgekd.errors import DataError

PARTS = ("train", "validation", "test")
MOST_BLOCKS = 40
BLOCK_WINDOWS = 4
"""Least length of a block, in windows: each border of two parts costs about one."""
LEAST_BLOCKS = 6


def parts_of_steps(
    signal: Signal, classes: NDArray[np.int64] | None, settings: SeriesData, *, tested: bool
) -> NDArray[np.int64]:
    """The part of every step (S,), as its place in `PARTS`.

    Args:
        classes: (S,), by which blocks are stratified; None where there are none.
        tested: there is a test set already, and none is split off.

    Raises:
        DataError: there are too few groups, or the signal is too short to be cut into blocks.
    """
    found = np.zeros(len(signal), np.int64)
    for part, share in (("test", settings.test), ("validation", settings.validation)):
        if part == "test" and tested:
            continue
        left = np.flatnonzero(found == 0)
        if signal.groups is not None:
            taken = take_groups(signal.groups[left], share, settings.split_seed, part, signal.where)
        else:
            blocks = blocks_of(signal, settings.window)[left]
            taken = _take_blocks(blocks, classes, left, share, settings.split_seed)
        found[left[taken]] = PARTS.index(part)
    return found


def blocks_of(signal: Signal, window: int) -> NDArray[np.int64]:
    """The number of every step's block (S,): up to 40 of the same length, each of four windows or
    more.

    Raises:
        DataError: there would be fewer than six blocks.
    """
    count = min(MOST_BLOCKS, len(signal) // (BLOCK_WINDOWS * window))
    if count < LEAST_BLOCKS:
        least = LEAST_BLOCKS * BLOCK_WINDOWS * window
        raise DataError(
            f"A signal of {len(signal)} steps is too short for training, validation and test: with "
            f"windows of {window} it needs {least}.",
            where=f"{signal.where}; data.window",
            fix="take a smaller window, give a longer signal, or name groups in data.group",
        )
    return np.arange(len(signal)) * count // len(signal)


def runs_of(signal: Signal, part: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers (S,) that are equal for neighbours of one group and one part."""
    if signal.groups is None:
        return part
    _, group = np.unique(signal.groups, return_inverse=True)
    return group.reshape(-1) * len(PARTS) + part


def _take_blocks(
    blocks: NDArray[np.int64],
    classes: NDArray[np.int64] | None,
    steps: NDArray[np.int64],
    share: float,
    seed: int,
) -> NDArray[np.bool_]:
    """Which steps are taken: the share of the blocks, and of those that are mostly of one class the
    same. What rounding takes too much of in one class, it leaves in the next.
    """
    strata: dict[int, list[int]] = defaultdict(list)
    for block in np.unique(blocks):
        inside = steps[blocks == block]
        strata[-1 if classes is None else int(np.bincount(classes[inside]).argmax())].append(block)
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    owed = 0.0
    for _, members in sorted(strata.items()):
        owed += share * len(members)
        count = max(0, min(round(owed), len(members) - 1))
        owed -= count
        chosen += generator.permutation(members)[:count].tolist()
    if not chosen:
        chosen = [int(generator.choice(np.unique(blocks)))]
    return np.isin(blocks, chosen)
