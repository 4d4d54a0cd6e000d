"""An int8 ResNet-8 on CIFAR-10 (JPEG), distilled, and the same network trained alone.

Both arms are the shipped cifar10 pipeline; the second has `distill.method=labels`, which training
through the quantizer inherits. They share data, teacher, seeds, steps and variations.
"""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import edgekd
from benchmarks.common import STUDENT, TEACHER, Row, finish, of, options, percent, started
from edgekd.report.terminal import PlainProgress
from edgekd.results import Accuracy, Summary
from edgekd.statistics import Z95

QUICK = [
    "teacher.train.epochs=1",
    "teacher.require.accuracy=0",
    "distill.train.epochs=1",
    "quantize.train.epochs=1",
    "data.augment.views=2",
]
LARGEST, HOURS = 98_000, 3


def main() -> None:
    """Runs both arms, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="cifar10-jpeg.zip")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--quick", action="store_true", help="a smoke test: an epoch of each")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    start = started()
    settings = [
        *(QUICK if chosen.quick else []),
        f"data.path={chosen.data.resolve()}",
        *chosen.settings,
    ]
    arms = {
        name: edgekd.run(
            "cifar10",
            overrides=[*settings, *more],
            runs=chosen.work,
            progress=PlainProgress(sys.stderr),
        )
        for name, more in (("distilled", []), ("alone", ["distill.method=labels"]))
    }
    figures = {name: figures_of(result.summary) for name, result in arms.items()}
    figures["distilled_minus_alone"] = paired(right(arms["distilled"]), right(arms["alone"]))
    finish(
        "CIFAR-10 (JPEG), ResNet-8 in int8",
        start,
        runs="1 seed of each arm",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=chosen.results,
    )


def figures_of(summary: Summary) -> dict[str, Any]:
    """Accuracies, size and seconds of one arm."""
    (student,), (teacher,) = of(summary, STUDENT), of(summary, TEACHER)
    assert student.accuracy is not None and teacher.accuracy is not None
    return {
        "teacher": teacher.accuracy.model_dump(),
        "student": student.accuracy.model_dump(),
        "bytes": student.bytes,
        "parameters": student.parameters,
        "teacher_parameters": teacher.parameters,
        "seconds": {stage.name: stage.seconds for stage in summary.stages},
    }


def right(result: edgekd.RunResult) -> np.ndarray:
    """Which test samples the quantized network answers rightly (N,), as torch computes it."""
    folders = {stage.name: result.folder / stage.folder for stage in result.summary.stages}
    logits = np.load(folders["quantize"] / "test_logits.npy", allow_pickle=False)
    y = np.load(folders["data"] / "test_y.npy", allow_pickle=False)
    return logits.argmax(1) == y


def paired(left: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Difference of two shares of right answers on the same samples, with the 95 % interval of the
    mean of the samples' differences (-1, 0 or 1), which are many.
    """
    difference = left.astype(float) - other
    half = Z95 * float(difference.std(ddof=1)) / math.sqrt(len(difference))
    mean = float(difference.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": len(difference)}


def rows(f: dict[str, Any]) -> list[Row]:
    """The table."""
    distilled, alone = f["distilled"], f["alone"]
    gain = {key: 100 * value for key, value in f["distilled_minus_alone"].items()}
    hours = sum(distilled["seconds"].values()) / 3600
    return [
        Row(
            f"teacher ({distilled['teacher_parameters']:,} parameters)", told(distilled["teacher"])
        ),
        Row(
            f"int8 student in LiteRT ({distilled['parameters']:,} parameters), distilled",
            told(distilled["student"]),
            "stated",
        ),
        Row("the same network trained alone, int8 in LiteRT", told(alone["student"]), "stated"),
        Row(
            "distilled - alone, paired by test sample",
            f"{gain['mean']:+.2f} points [{gain['low']:+.2f}, {gain['high']:+.2f}]",
            "stated",
        ),
        Row(
            "student's .tflite",
            f"{distilled['bytes'] / 1000:.1f} kB",
            f"≤ {LARGEST / 1000:g} kB",
            distilled["bytes"] <= LARGEST,
        ),
        Row("time of the distilled run", f"{hours:.2f} h", f"≤ {HOURS} h", hours <= HOURS),
    ]


def told(figure: dict[str, Any]) -> str:
    """84.10 % [83.37, 84.80], n = 10,000."""
    a = Accuracy.model_validate(figure)
    return f"{percent(a.value)} [{100 * a.low:.2f}, {100 * a.high:.2f}], n = {a.n:,}"


if __name__ == "__main__":
    main()
