"""Every metric of a task with its 95 % interval: values from torchmetrics, intervals of Wilson
(shares of samples) and of the bootstrap (all others).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekd.results import Accuracy, MetricFigures
from edgekd.spec import HEADLINE, ModelSpec
from edgekd.statistics import wilson_interval
from edgekd.tasks import replicates
from edgekd.tasks.bootstrap import Floats, Key, Replicate, intervals

if TYPE_CHECKING:
    from torch import Tensor

TOP = 5
LEAST_CLASSES_FOR_TOP = 10
"""Classes from which the top-5 accuracy says something."""
RAW = frozenset({"mae", "rmse"})
"""Metrics in the targets' own units."""


def judge(
    spec: ModelSpec,
    outputs: Floats,
    y: NDArray[Any],
    *,
    runtime: str,
    split: str,
    resamples: int | None = None,
) -> tuple[Accuracy, list[MetricFigures]]:
    """The headline score, and every metric of the task, the headline's own first.

    Args:
        outputs: logits (N, C) or (N, L), or standardised answers (N, T), as the network gives them.
        y: (N,), (N, L), or (N, T) in raw units.
        runtime: what computed the outputs.
        split: what the samples are.
        resamples: of the bootstrap; as `intervals` decides if left out.

    A metric that the samples do not define, such as an AUC without positive samples, is left out;
    an R² without a target that varies is 0.
    """
    outputs, y = np.asarray(outputs), np.asarray(y)
    if spec.task == "regression":
        outputs = spec.raw_targets(outputs)
    values, shares, replicate = _of_task(spec, outputs, y)
    n = len(y)
    ends = {key: wilson_interval(count, n) for key, count in shares.items()}
    values = {**{key: count / n for key, count in shares.items()}, **values}
    ends |= intervals(replicate, n, resamples=resamples)
    figures = [
        MetricFigures(
            name=name,
            target=target,
            value=value,
            low=_or(ends[name, target][0], value),
            high=_or(ends[name, target][1], value),
            n=n,
            runtime=runtime,
            split=split,
            unit="raw" if name in RAW else "fraction",
        )
        for (name, target), value in values.items()
        if np.isfinite(value)
    ]
    figures.sort(key=lambda row: row.name != HEADLINE[spec.task])
    return _headline(spec, figures, n, runtime, split), figures


def score(
    spec: ModelSpec, outputs: Floats, y: NDArray[Any], *, runtime: str, split: str
) -> Accuracy:
    """The headline score alone; see `judge`."""
    if HEADLINE[spec.task] != "accuracy":
        return judge(spec, outputs, y, runtime=runtime, split=split)[0]
    right, n = int((np.asarray(outputs).argmax(1) == np.asarray(y)).sum()), len(y)
    low, high = wilson_interval(right, n)
    return Accuracy(value=right / n, low=low, high=high, n=n, runtime=runtime, split=split)


def _headline(
    spec: ModelSpec, figures: list[MetricFigures], n: int, runtime: str, split: str
) -> Accuracy:
    name = HEADLINE[spec.task]
    found = next((row for row in figures if (row.name, row.target) == (name, "")), None)
    value, low, high = (found.value, found.low, found.high) if found else (0.0, 0.0, 0.0)
    return Accuracy(value=value, low=low, high=high, n=n, runtime=runtime, split=split, metric=name)


def _or(value: float, fallback: float) -> float:
    return value if np.isfinite(value) else fallback


def _of_task(
    spec: ModelSpec, outputs: Floats, y: NDArray[Any]
) -> tuple[dict[Key, float], dict[Key, int], Replicate]:
    """Metrics' values, shares as counts of right samples, and what the bootstrap computes."""
    import torch

    given = torch.from_numpy(np.ascontiguousarray(outputs))
    wanted = torch.from_numpy(np.array(y))
    if spec.task == "multilabel":
        right = int(((outputs > 0) == (y > 0)).all(1).sum())
        shares = {("exact_match", ""): right}
        return _label_values(given, wanted), shares, replicates.of_labels(outputs, y)
    if spec.task == "regression":
        replicate = replicates.of_numbers(outputs, y, spec.labels)
        return _number_values(given, wanted, spec.labels), {}, replicate
    shares = {("accuracy", ""): int((outputs.argmax(1) == y).sum())}
    if spec.task == "binary":
        return _two_values(given, wanted), shares, replicates.of_two(outputs, y)
    if len(spec.labels) >= LEAST_CLASSES_FOR_TOP:
        own = np.take_along_axis(outputs, y[:, None], 1)
        shares["top5_accuracy", ""] = int(((outputs > own).sum(1) < TOP).sum())
    return _class_values(given, wanted), shares, replicates.of_classes(outputs, y)


def _class_values(given: Tensor, y: Tensor) -> dict[Key, float]:
    from torchmetrics.functional import classification as tm

    classes = given.shape[1]
    answer = given.argmax(1)
    macro = tm.multiclass_f1_score(answer, y, num_classes=classes, average="macro")
    recall = tm.multiclass_recall(answer, y, num_classes=classes, average="none")
    there = y.bincount(minlength=classes) > 0  # torchmetrics' macro counts absent classes as 0
    return {
        ("macro_f1", ""): float(macro),
        ("balanced_accuracy", ""): float(recall[there].mean()),
    }


def _two_values(given: Tensor, y: Tensor) -> dict[Key, float]:
    from torchmetrics.functional import classification as tm

    values = {("f1", ""): float(tm.binary_f1_score(given.argmax(1), y))}
    area, precision = _rankings((given[:, 1].double() - given[:, 0].double()), y)
    return {**values, ("roc_auc", ""): area, ("average_precision", ""): precision}


def _label_values(given: Tensor, y: Tensor) -> dict[Key, float]:
    from torchmetrics.functional import classification as tm

    labels = given.shape[1]
    answer, wanted = (given > 0).long(), (y > 0).long()
    f1 = {
        f"{average}_f1": tm.multilabel_f1_score(answer, wanted, num_labels=labels, average=average)
        for average in ("macro", "micro")
    }
    rankings = np.array([_rankings(given[:, i], wanted[:, i]) for i in range(labels)])
    areas, precisions = rankings.T
    return {
        **{(name, ""): float(value) for name, value in f1.items()},
        ("macro_roc_auc", ""): _mean(areas),
        ("mean_average_precision", ""): _mean(precisions),
    }


def _mean(values: Floats) -> float:
    good = values[np.isfinite(values)]
    return float(good.mean()) if len(good) else float("nan")


def _rankings(scores: Tensor, y: Tensor) -> tuple[float, float]:
    """ROC AUC and average precision; NaN where they are not defined.

    torchmetrics takes scores from 0 to 1 as they are and squashes others through a sigmoid, which
    makes large ones equal: ranks keep their order.
    """
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    ranks = scores.unique(return_inverse=True)[1].double()
    ranks = ranks / max(1.0, float(ranks.max()))
    wanted = y.long()
    positives = int(wanted.sum())
    if positives == 0:
        return float("nan"), float("nan")
    precision = float(binary_average_precision(ranks, wanted))
    area = float(binary_auroc(ranks, wanted)) if positives < len(wanted) else float("nan")
    return area, precision


def _number_values(given: Tensor, y: Tensor, labels: tuple[str, ...]) -> dict[Key, float]:
    from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error, r2_score

    wanted = y.double()
    targets: dict[str, Mapping[str, float]] = {}
    for number, label in enumerate(labels):
        own, true = given[:, number].contiguous(), wanted[:, number].contiguous()
        varies = len(true) > 1 and bool((true != true[0]).any())
        targets[label] = {
            "r2": float(r2_score(own, true)) if varies else float("nan"),
            "mae": float(mean_absolute_error(own, true)),
            "rmse": float(mean_squared_error(own, true, squared=False)),
        }
    together: dict[Key, float] = {
        (name, ""): _mean(np.array([values[name] for values in targets.values()]))
        for name in ("r2", "mae", "rmse")
    }
    if len(labels) == 1:
        return together
    return together | {
        (name, label): value for label, values in targets.items() for name, value in values.items()
    }
