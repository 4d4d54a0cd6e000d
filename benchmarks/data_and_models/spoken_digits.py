"""The shipped spoken-digits pipeline over several seeds: int8 accuracy, size and time.

The data is the Free Spoken Digit Dataset with its authors' test split: recordings 0 to 4 of every
digit and speaker.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import edgekd
from benchmarks.common import (
    STUDENT,
    TEACHER,
    Row,
    differences,
    finish,
    interval,
    mean_percent,
    of,
    options,
    percent,
    points,
    started,
    tests,
)
from edgekd.report.terminal import PlainProgress
from edgekd.results import Summary

QUICK = [
    "teacher.train.epochs=1",
    "teacher.require.accuracy=0",
    "distill.train.epochs=1",
    "quantize.train.epochs=1",
    "data.augment.views=2",
]
MINUTES = 10
"""Longest time of one seed's run."""


def main() -> None:
    """Runs, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="fsdd.zip")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke test: one seed, few epochs")
    chosen = parser.parse_args()
    seeds = 1 if chosen.quick else chosen.seeds
    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    start = started()
    result = edgekd.run(
        "spoken-digits",
        overrides=[
            *(QUICK if chosen.quick else []),
            f"data.path={chosen.data.resolve()}",
            f"seeds={seeds}",
        ],
        runs=chosen.work,
        progress=PlainProgress(sys.stderr),
    )
    figures = figures_of(result.summary)
    finish(
        "Spoken digits",
        start,
        runs=f"{seeds} seeds",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=chosen.results,
    )


def figures_of(summary: Summary) -> dict[str, Any]:
    """Accuracies, sizes and seconds, by seed; the seconds of a seed include those of the data.

    Where seeds hardly differ, the interval over seeds says little; Wilson's of the samples stands
    beside it.
    """
    teacher, student = tests(summary, TEACHER), tests(summary, STUDENT)
    seconds: dict[str, float] = {}
    for stage in summary.stages:
        seed = stage.name.partition("@")[2]
        seconds[seed] = seconds.get(seed, 0.0) + stage.seconds
    data = seconds.pop("")
    return {
        "teacher_test": interval(teacher),
        "student_test": interval(student),
        "student_by_samples": min(
            [m.accuracy.low, m.accuracy.high] for m in of(summary, STUDENT) if m.accuracy
        ),
        "student_minus_teacher": interval(differences(student, teacher)),
        "student_bytes": [m.bytes for m in of(summary, STUDENT)],
        "student_parameters": of(summary, STUDENT)[0].parameters,
        "teacher_parameters": of(summary, TEACHER)[0].parameters,
        "test_samples": next(m.accuracy.n for m in of(summary, STUDENT) if m.accuracy),
        "seconds": [data + value for value in seconds.values()],
    }


def rows(f: dict[str, Any]) -> list[Row]:
    """The table."""
    longest = max(f["seconds"]) / 60
    n = f["test_samples"]
    return [
        Row(f"teacher, mean test accuracy (n = {n})", mean_percent(f["teacher_test"])),
        Row(
            f"int8 DS-CNN student in LiteRT ({f['student_parameters']:,} parameters)",
            f"{mean_percent(f['student_test'])}; of the worst seed, by samples, "
            f"[{percent(f['student_by_samples'][0])}, {percent(f['student_by_samples'][1])}]",
            "≥ 97 %",
            f["student_test"]["mean"] >= 0.97,
        ),
        Row("student - teacher, paired by seed", points(f["student_minus_teacher"])),
        Row("student's .tflite, largest", f"{max(f['student_bytes']) / 1000:.1f} kB"),
        Row(
            "one seed's run, longest",
            f"{longest:.1f} min",
            f"≤ {MINUTES} min",
            longest <= MINUTES,
        ),
    ]


if __name__ == "__main__":
    main()
