"""Several teachers as one: the soft labels of which a student learns what it would from all.

The loss of a student that learns from K teachers is sum_k w_k KL(p_k ‖ q), with sum_k w_k = 1. It
differs from KL(sum_k w_k p_k ‖ q) by what does not depend on the student, so the gradients are the
same. The mixture of the probabilities at the method's temperature is therefore all that has to be
kept, however many teachers there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.spec import Task

Logits = NDArray[np.floating]


def average_weights(teachers: int) -> NDArray[np.float64]:
    """Equal weights (K,)."""
    return np.full(teachers, 1 / teachers)


def score_weights(scores: Sequence[float]) -> NDArray[np.float64]:
    """Weights (K,) by each teacher's validation score; one below 0 counts as 0, and where none is
    above, all count alike.
    """
    kept = np.maximum(np.asarray(scores, np.float64), 0)
    return kept / kept.sum() if kept.sum() > 0 else average_weights(len(kept))


def confidence_weights(logits: Sequence[Logits], y: NDArray[np.integer]) -> NDArray[np.float64]:
    """Weights (n, K) of each sample by how sure the teachers are of its label:

        w_k = (1 - exp(CE_k) / sum_j exp(CE_j)) / (K - 1)

    Zhang, Chen and Wang 2022 ("Confidence-aware multi-teacher knowledge distillation", CA-MKD),
    equation 4; CE_k is the cross-entropy of teacher k with the label. A single teacher has the
    weight 1.

    Args:
        logits: K times (n, C).
        y: classes (n,).
    """
    if len(logits) == 1:
        return np.ones((len(y), 1))
    rows = np.arange(len(y))
    losses = np.stack([-_log_softmax(z, 1.0)[rows, y] for z in logits], 1)
    # Of 2 teachers of whom one is right and one is quite wrong, exp(CE) overflows: shift it.
    shares = np.exp(losses - losses.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    return (1 - shares) / (len(logits) - 1)


def combine(
    logits: Sequence[Logits],
    weights: NDArray[np.float64],
    temperature: float,
    task: Task = "classification",
) -> NDArray[np.float64]:
    """Logits (n, C) whose softmax at the temperature is the weighted mean of the teachers'.

    Of several labels each by itself, with the sigmoid; of a regression, the mean of the answers.

    Args:
        logits: K times (n, C).
        weights: (K,), or (n, K) of each sample; they sum up to 1.
        temperature: T > 0.
    """
    z = np.stack([np.asarray(each, np.float64) for each in logits])  # (K, n, C)
    w = np.broadcast_to(weights, (z.shape[1], len(z))).T[:, :, None]
    if task == "regression":
        return (w * z).sum(0)
    if task == "multilabel":
        return temperature * (
            _log_mean(w, -np.logaddexp(0, -z / temperature))
            - _log_mean(w, -np.logaddexp(0, z / temperature))
        )
    return temperature * _log_mean(w, np.stack([_log_softmax(each, temperature) for each in z]))


def _log_mean(weights: NDArray[Any], logged: NDArray[np.float64]) -> NDArray[np.float64]:
    """log sum_k w_k exp(l_k) over the first axis; a weight of 0 counts for nothing."""
    with np.errstate(divide="ignore"):
        terms = np.log(weights) + logged
    return np.logaddexp.reduce(terms, axis=0)


def _log_softmax(logits: Logits, temperature: float) -> NDArray[np.float64]:
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = scaled - scaled.max(1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
