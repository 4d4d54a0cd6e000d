"""The parts of a folder: those that it names, and those that are split off."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import FolderData
from edgekd.data.listing import Item
from edgekd.errors import DataError


def split_items(items: list[Item], settings: FolderData, where: str) -> dict[str, NDArray]:
    """Positions of the items of "train", "validation" and "test", each ascending.

    Raises:
        DataError: there are too few samples or groups.
    """
    parts = {
        part: np.array([i for i, item in enumerate(items) if item.part == part], np.int64)
        for part in ("train", "validation", "test")
    }
    for part, share in (("test", settings.test), ("validation", settings.validation)):
        if not len(parts[part]):
            train = parts["train"]
            chosen = [items[i] for i in train]
            split = by_group if chosen[0].group is not None else by_class
            taken = split(chosen, share, settings.split_seed)
            if not 0 < taken.sum() < len(train):
                raise DataError(
                    f"There are too few samples or groups to split a {part} part off.",
                    where=where,
                    fix="add samples, or a folder of that name",
                )
            parts["train"], parts[part] = train[~taken], train[taken]
    return parts


def by_class(items: list[Item], share: float, seed: int) -> NDArray[np.bool_]:
    """Which items are taken: the share of every class, and within it of every `balance`; what
    rounding takes too much of in one, it leaves in the next.
    """
    strata: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        strata[item.label, item.balance or ""].append(i)
    generator = np.random.default_rng(seed)
    taken = np.zeros(len(items), bool)
    owed: dict[str, float] = defaultdict(float)
    for (label, _), members in sorted(strata.items()):
        owed[label] += share * len(members)
        count = min(round(owed[label]), len(members) - 1)
        owed[label] -= count
        taken[generator.permutation(members)[: max(0, count)]] = True
    return taken


def by_group(items: list[Item], share: float, seed: int) -> NDArray[np.bool_]:
    """Which items are taken: whole groups, in a seeded order, until the share is reached as
    nearly as it can be; at least one group is taken and one is left.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        groups[item.group or ""].append(i)
    order = np.random.default_rng(seed).permutation(len(groups))
    names = sorted(groups)
    taken = np.zeros(len(items), bool)
    wanted = share * len(items)
    for place in order[:-1]:
        members = groups[names[place]]
        now = int(taken.sum())
        if now and abs(now + len(members) - wanted) >= abs(now - wanted):
            continue
        taken[members] = True
    return taken
