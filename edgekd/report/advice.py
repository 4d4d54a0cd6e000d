"""The numbers behind an advice as text."""

from __future__ import annotations

from edgekd.report import units
from edgekd.results import AdviceFigures

NAMES = {
    "teacher": "teacher, test",
    "student": "student, test",
    "low": "lower end",
    "high": "upper end",
    "train": "student, training samples",
    "teacher_train": "teacher, training samples",
    "validation": "student, validation",
    "validation_noise": "half its interval",
    "missed": "missed of the teacher",
    "late_fall": "fall of the loss in the second half",
    "epochs": "epochs",
    "temperature": "temperature",
    "entropy": "entropy of soft targets",
    "gain": "gain by the teacher",
    "gain_low": "lower end",
    "gain_high": "upper end",
    "pruned": "change by pruning",
    "quantized": "change by int8",
}
COUNTS = ("epochs", "temperature")


def numbers(row: AdviceFigures) -> str:
    """Such as "student, training samples 97.4 %; fall of the loss in the second half 12.0 %"."""
    return "; ".join(
        f"{NAMES.get(name, name)} "
        + (f"{value:g}" if name in COUNTS else units.percent(value).replace("-", "−"))
        for name, value in row.evidence.items()
    )
