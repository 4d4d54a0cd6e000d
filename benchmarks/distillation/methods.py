"""Distillation methods against the same student trained alone: one table, one picture.

    python -m benchmarks.distillation.methods --data fsdd.zip --seeds 5
    python -m benchmarks.distillation.methods --data cifar10-jpeg.zip --seeds 5

Every method trains the same student from the same first weights, with the same samples, variations
and number of steps; a seed has one teacher, whose soft labels all methods share. Methods have their
authors' weights, except where a warm-up would be longer than the training. Nothing is chosen by the
test set; the epoch that is kept is the best on validation.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import edgekd
from benchmarks.common import (
    Row,
    differences,
    finish,
    interval,
    mean_percent,
    options,
    points,
    started,
)
from benchmarks.distillation.picture import draw
from benchmarks.spine.cifar import as_npz
from edgekd.report.terminal import PlainProgress
from edgekd.results import Summary

ALONE = "labels"
METHODS: dict[str, str] = {
    ALONE: "labels",
    "KD": "kd",
    "KD, standardized": "{name: kd, temperature: 2, weight: 9, standardize: true}",
    "DKD": "{name: dkd, warmup_epochs: 4}",
    "DIST": "dist",
    "NKD": "nkd",
    "MLKD": "mlkd",
    "CTKD": "{name: ctkd, reversal_epochs: 4}",
    "FitNets": "fitnet",
    "AT": "at",
    "SP": "sp",
    "PKT": "pkt",
    "RKD": "rkd",
    "VID": "vid",
    "CRD": "crd",
    "ReviewKD": "{name: reviewkd, warmup_epochs: 4}",
}
"""What the table calls it, and `distill.method` of the pipeline file."""
QUICK = ["teacher.train.epochs=1", "distill.train.epochs=1", "data.augment.views=1"]
SHARES = {"spoken-digits": 1.0, "cifar10": 0.2}
"""Of the training samples: what two cores can carry."""


def main() -> None:
    """Trains, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="fsdd.zip or cifar10-jpeg.zip")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--share", type=float, help="of the training samples of CIFAR-10")
    parser.add_argument("--quick", action="store_true", help="a smoke test: an epoch of each")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    start = started()
    name = "cifar10" if chosen.data.stem.startswith("cifar10") else "spoken-digits"
    found = trained(name, chosen)
    figures = compared(found)
    results = chosen.results
    results.mkdir(parents=True, exist_ok=True)
    draw(figures, name, results / f"methods-{name}.svg")
    finish(
        f"Distillation methods, {name}",
        start,
        runs=f"{chosen.seeds} seeds of each method",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=results,
        name=f"methods-{name}",
    )


def trained(name: str, chosen: argparse.Namespace) -> dict[str, list[float]]:
    """Test accuracy of the float student by method, and of the teacher, seed by seed."""
    methods = dict.fromkeys([ALONE, *chosen.methods])
    seeds = 1 if chosen.quick else chosen.seeds
    path = chosen.data.resolve()
    if name == "cifar10":
        path = shared(as_npz(path, chosen.work), chosen.share or SHARES[name])
    found: dict[str, list[float]] = {}
    for method in methods:
        print(f"{method}:", file=sys.stderr)
        result = edgekd.run(
            Path(__file__).with_name(f"{name}.yaml"),
            overrides=[
                *(QUICK if chosen.quick else []),
                f"data.path={path}",
                f"seeds={seeds}",
                f"distill.method={METHODS[method]}",
            ],
            until="distill",
            runs=chosen.work,
            progress=PlainProgress(sys.stderr),
        )
        found["teacher"] = accuracies(result.summary, "teacher")
        found[method] = accuracies(result.summary, "distill")
    return found


def accuracies(summary: Summary, stage: str) -> list[float]:
    """Test accuracy of a stage's network, by seed."""
    models = [m for m in summary.models if m.stage == stage and m.format == "torch"]
    return [m.accuracy.value for m in sorted(models, key=lambda m: m.seed) if m.accuracy]


def shared(npz: Path, share: float) -> Path:
    """The same arrays with a share of each class's training samples, in a file beside."""
    path = npz.with_name(f"{npz.stem}-{share:g}.npz")
    if path.is_file() or share == 1:
        return path if share != 1 else npz
    with np.load(npz, allow_pickle=False) as arrays:
        y = arrays["y_train"]
        rng = np.random.default_rng(0)
        kept = [
            rng.permutation(np.flatnonzero(y == label))[: round(share * (y == label).sum())]
            for label in np.unique(y)
        ]
        index = np.sort(np.concatenate(kept))
        parts = {"x_train": arrays["x_train"][index], "y_train": y[index]}
        parts |= {part: arrays[part] for part in ("x_test", "y_test")}
    beside = path.with_name(f".{path.name}")
    np.savez(beside, allow_pickle=False, **parts)
    beside.replace(path)
    return path


def compared(found: dict[str, list[float]]) -> dict[str, Any]:
    """Means with intervals, and differences from the student alone, paired by seed."""
    return {
        method: {
            "test": interval(values),
            "minus_alone": None
            if method in (ALONE, "teacher")
            else interval(differences(values, found[ALONE])),
        }
        for method, values in found.items()
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table: below the teacher and the student alone, the methods."""
    found = []
    for method, figure in figures.items():
        gain = figure["minus_alone"]
        told = mean_percent(figure["test"])
        if gain is not None:
            told += f"; {points(gain)} to the student alone, {verdict(gain)}"
        label = {"teacher": "teacher", ALONE: "student alone, on labels"}.get(method, method)
        found.append(Row(label, told))
    return found


def verdict(gain: dict[str, Any]) -> str:
    """What the interval shows."""
    if gain["low"] > 0:
        return "helps"
    return "harms" if gain["high"] < 0 else "no difference shown"


if __name__ == "__main__":
    main()
