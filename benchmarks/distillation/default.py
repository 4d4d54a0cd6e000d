"""edgekd's default distillation against the same student trained alone.

    python -m benchmarks.distillation.default --data fsdd.zip --seeds 5
    python -m benchmarks.distillation.default --data cifar10-jpeg.zip --seeds 5 --share 0.1

The protocol, written down before any test sample was looked at:

1. Data, networks, steps and variations are those of the pipeline files beside this module. Both arms
   have the same first weights, samples, variations and number of steps; each seed has a teacher of
   its own. The first run was of `strangers.yaml`, where a teacher that is right about 99 % of its
   own speakers turned out to be right about a third of the strangers: no test of what a student
   learns from it. It stays as it came out (`--strangers`). `spoken-digits.yaml`, with test
   recordings of the same speakers and ten more epochs, was written down after it, and before any
   of its own test samples was looked at.
2. The distilled arm is what a user gets who says nothing: `distill.method` by default, with no
   trials at all.
3. The student alone has two forms. One has the settings of the pipeline file, as the distilled arm
   has. The other is tuned: the TRIALS of learning rate, weight decay and label smoothing are made
   with the first seed, and the one with the best validation accuracy (of equals the one named
   first) is taken for all seeds.
4. What is reported is the accuracy of the float student on test, the difference by seed and the
   mean's 95 % interval of Student's t, whatever it is. The epoch that is kept is the best on
   validation in every arm.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks.common import (
    Row,
    differences,
    finish,
    interval,
    mean_percent,
    percent,
    points,
    started,
)
from benchmarks.distillation.arms import ALONE, accuracies, arm, name_of, parser

RATES = {"spoken-digits": 6.0e-3, "strangers": 6.0e-3, "cifar10": 0.1}
DECAYS = {"spoken-digits": 0.02, "strangers": 0.02, "cifar10": 5.0e-4}
"""What the pipeline files have."""
TRIALS: tuple[tuple[float, float, float], ...] = (
    (1.0, 1.0, 0.0),
    (0.5, 1.0, 0.0),
    (2.0, 1.0, 0.0),
    (1.0, 4.0, 0.0),
    (1.0, 1.0, 0.1),
    (0.5, 1.0, 0.1),
)
"""Of the student alone: learning rate and weight decay as multiples, and label smoothing."""


def main() -> None:
    """Trains, writes and prints."""
    chosen = parser(__doc__, __file__).parse_args()
    start = started()
    name = name_of(chosen)
    trials = {trial: validated(chosen, trial) for trial in TRIALS}
    best = max(TRIALS, key=lambda trial: trials[trial])
    alone = arm(chosen, f"distill.method={ALONE}")
    tuned = arm(chosen, f"distill.method={ALONE}", *settings(name, best))
    distilled = arm(chosen)
    arms = {
        "alone": accuracies(alone),
        "tuned": accuracies(tuned),
        "distilled": accuracies(distilled),
        "teacher": accuracies(distilled, "teacher"),
    }
    figures: dict[str, Any] = {key: interval(values) for key, values in arms.items()}
    for key in ("alone", "tuned"):
        figures[f"distilled_minus_{key}"] = interval(differences(arms["distilled"], arms[key]))
    figures["trials"] = [
        dict(zip(("rate", "decay", "smoothing", "validation"), (*trial, score), strict=True))
        for trial, score in trials.items()
    ]
    finish(
        f"The default against the student alone, {name}",
        start,
        runs=f"{chosen.seeds} seeds of each arm, {len(TRIALS)} trials of the student alone",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures, best),
        results=chosen.results,
        name=f"default-{name}",
    )


def settings(name: str, trial: tuple[float, float, float]) -> list[str]:
    """Overrides of a trial."""
    rate, decay, smoothing = trial
    train = "distill.train"
    return [
        f"{train}.learning_rate={rate * RATES[name]:g}",
        f"{train}.weight_decay={decay * DECAYS[name]:g}",
        f"{train}.label_smoothing={smoothing:g}",
    ]


def validated(chosen: argparse.Namespace, trial: tuple[float, float, float]) -> float:
    """Validation accuracy of the student alone with these settings, of the first seed."""
    print(f"trial {trial}:", file=sys.stderr)
    overrides = settings(name_of(chosen), trial)
    return accuracies(arm(chosen, f"distill.method={ALONE}", *overrides, seeds=1), on="validation")[
        0
    ]


def rows(figures: dict[str, Any], best: tuple[float, float, float]) -> list[Row]:
    """The table."""
    rate, decay, smoothing = best
    taken = f"rate x {rate:g}, decay x {decay:g}, smoothing {smoothing:g}"
    shown = max(trial["validation"] for trial in figures["trials"])
    gains = {key: figures[f"distilled_minus_{key}"] for key in ("alone", "tuned")}
    return [
        Row("teacher", mean_percent(figures["teacher"])),
        Row("student alone, the same settings", mean_percent(figures["alone"])),
        Row(
            f"student alone, the best of {len(figures['trials'])} settings on validation",
            f"{mean_percent(figures['tuned'])} ({taken}: {percent(shown)} on validation)",
        ),
        Row("distilled, edgekd's default", mean_percent(figures["distilled"])),
        Row(
            "difference to the student alone",
            points(gains["alone"]),
            "above 0",
            above(gains["alone"]),
        ),
        Row(
            "difference to the best of its settings",
            points(gains["tuned"]),
            "above 0",
            above(gains["tuned"]),
        ),
    ]


def above(gain: dict[str, Any]) -> bool:
    """Whether the whole interval lies above 0."""
    return bool(gain["low"] > 0)


if __name__ == "__main__":
    main()
