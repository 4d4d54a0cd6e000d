"""Soft labels of many classes in short: the logits of the top ones, and one for all the rest.

At the temperature T, exp(r / T) of the rest's logit r = T log sum exp(z_j / T) is the sum over all
other classes. So softmax over the k + 1 values at T gives the top classes exactly the probabilities
that all C logits give them, and the rest the sum of the others'.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def compact(
    logits: NDArray[np.floating], k: int, temperature: float
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The top classes (n, k), likeliest first, and the values (n, k + 1): their logits, and the
    rest's at the temperature.

    Args:
        logits: (n, C), C above k.
    """
    kind = np.uint16 if logits.shape[1] <= np.iinfo(np.uint16).max else np.uint32
    z = np.asarray(logits, np.float64)
    order = np.argsort(-z, axis=1, kind="stable")
    ordered = np.take_along_axis(z, order, 1)
    others = ordered[:, k:]
    largest = others[:, :1]
    shares = np.exp((others - largest) / temperature).sum(1, keepdims=True)
    rest = largest + temperature * np.log(shares)
    return order[:, :k].astype(kind), np.concatenate([ordered[:, :k], rest], 1)
