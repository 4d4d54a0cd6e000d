"""Each task's metrics as functions of weighted samples, for the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.tasks.bootstrap import Floats, Key, Replicate, mean_of_defined, ranked, ratio


def of_classes(outputs: Floats, y: NDArray[np.int64]) -> Replicate:
    """Macro F1 and balanced accuracy of logits (N, C) and classes (N,).

    A class that a resample neither has nor is given has no F1, and one that it does not have no
    recall; neither counts in the means.

    The sums over cells are sparse: a student of a thousand classes has tens of thousands of cells,
    and a dense matrix of cells and classes takes hundreds of megabytes. They are sums of whole
    numbers, exact in any order.
    """
    from scipy.sparse import csr_array

    classes = outputs.shape[1]
    answer = outputs.argmax(1)
    cells, place = np.unique(np.asarray(y) * classes + answer, return_inverse=True)
    true, given = cells // classes, cells % classes
    every, shape = np.arange(len(cells)), (len(cells), classes)
    ones = np.ones(len(cells))
    in_row, in_column = (csr_array((ones, (every, of)), shape=shape) for of in (true, given))
    right = csr_array(((true == given).astype(np.float64), (every, true)), shape=shape)

    def replicate(weights: Floats) -> Mapping[Key, Floats]:
        counts = _cell_counts(weights, place.reshape(-1), len(cells))
        hits, of, answers = (np.asarray(counts @ part) for part in (right, in_row, in_column))
        return {
            ("macro_f1", ""): mean_of_defined(ratio(2 * hits, of + answers)),
            ("balanced_accuracy", ""): mean_of_defined(ratio(hits, of)),
        }

    return replicate


def _cell_counts(weights: Floats, place: NDArray[np.intp], cells: int) -> Floats:
    """Weights (B, N) summed up by cell: (B, cells)."""
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(cells))
    return np.add.reduceat(weights[:, order], starts, axis=1)


def of_two(outputs: Floats, y: NDArray[np.int64]) -> Replicate:
    """F1 of the positive class, ROC AUC and average precision of logits (N, 2)."""
    positive = np.asarray(y) == 1
    answer = outputs.argmax(1) == 1
    scores = outputs[:, 1].astype(np.float64) - outputs[:, 0]
    columns = np.stack([answer & positive, answer, positive], 1).astype(np.float64)

    def replicate(weights: Floats) -> Mapping[Key, Floats]:
        hits, answers, of = (weights @ columns).T
        area, precision = ranked(scores, positive, weights)
        return {
            ("f1", ""): ratio(2 * hits, answers + of),
            ("roc_auc", ""): area,
            ("average_precision", ""): precision,
        }

    return replicate


def of_labels(outputs: Floats, y: NDArray[Any]) -> Replicate:
    """Macro and micro F1, macro ROC AUC and mean average precision of logits (N, L).

    A label that nothing has and nothing is given counts with an F1 of 0, as in torchmetrics; one
    without positive (AUC: or negative) samples counts in no mean of rankings.
    """
    positive = np.asarray(y) > 0
    answer = outputs > 0
    hit, given, true = (part.astype(np.float64) for part in (answer & positive, answer, positive))

    def replicate(weights: Floats) -> Mapping[Key, Floats]:
        hits, both = weights @ hit, weights @ given + weights @ true
        rankings = [
            ranked(outputs[:, label], positive[:, label], weights)
            for label in range(outputs.shape[1])
        ]
        areas, precisions = (np.stack(part, 1) for part in zip(*rankings, strict=True))
        return {
            ("macro_f1", ""): np.nan_to_num(ratio(2 * hits, both)).mean(1),
            ("micro_f1", ""): ratio(2 * hits.sum(1), both.sum(1)),
            ("macro_roc_auc", ""): mean_of_defined(areas),
            ("mean_average_precision", ""): mean_of_defined(precisions),
        }

    return replicate


def of_numbers(outputs: Floats, y: Floats, labels: Sequence[str]) -> Replicate:
    """R², MAE and RMSE of each target and their means, of answers and targets (N, T) in raw units.

    R² is not defined where a resample's target does not vary. With a single target, "" is it.
    """
    wanted = np.asarray(y, np.float64)
    wanted = wanted - wanted.mean(0)  # keeps the sums of squares exact
    error = np.asarray(outputs, np.float64) - np.asarray(y, np.float64)
    columns = (np.abs(error), error**2, wanted, wanted**2)

    def replicate(weights: Floats) -> Mapping[Key, Floats]:
        n = weights.sum(1, keepdims=True)
        absolute, squared, mean, square = (weights @ column / n for column in columns)
        spread = square - mean**2
        r2 = 1 - ratio(squared, np.where(spread > 1e-12 * square, spread, 0))
        rmse = np.sqrt(squared)
        found: dict[Key, Floats] = {
            ("r2", ""): mean_of_defined(r2),
            ("mae", ""): absolute.mean(1),
            ("rmse", ""): rmse.mean(1),
        }
        for number, label in enumerate(labels if len(labels) > 1 else ()):
            found["r2", label] = r2[:, number]
            found["mae", label] = absolute[:, number]
            found["rmse", label] = rmse[:, number]
        return found

    return replicate
