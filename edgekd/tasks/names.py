"""What people call the metrics, and how their values are written."""

from __future__ import annotations

TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "r2": "R²",
    "balanced_accuracy": "balanced accuracy",
    "top5_accuracy": "top-5 accuracy",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "micro_f1": "micro F1",
    "macro_roc_auc": "macro ROC AUC",
    "mean_average_precision": "mean average precision",
    "exact_match": "exact match",
    "mae": "MAE",
    "rmse": "RMSE",
}
"""Title of every metric by its name in `summary.json`."""
SHARES = frozenset(
    {"accuracy", "macro_f1", "balanced_accuracy", "top5_accuracy", "f1", "micro_f1", "exact_match"}
)
"""Metrics that are written in percent; the others are plain numbers."""


def title(metric: str) -> str:
    """The metric's name for a reader."""
    return TITLES.get(metric, metric)


def is_share(metric: str) -> bool:
    """Whether the metric is written in percent and its differences in points."""
    return metric in SHARES


def shown(value: float, metric: str, digits: int = 1) -> str:
    """A score as text: `98.6 %`, or for R² and the like `0.986`."""
    return f"{100 * value:.{digits}f} %" if is_share(metric) else f"{value:.{digits + 2}f}"
