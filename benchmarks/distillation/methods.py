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
from typing import Any

from benchmarks.common import (
    Row,
    differences,
    finish,
    interval,
    mean_percent,
    points,
    started,
)
from benchmarks.distillation.arms import ALONE, accuracies, arm, name_of, parser
from benchmarks.distillation.picture import draw

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
ON_MAPS = ("FitNets", "AT", "SP", "PKT", "RKD", "VID", "CRD", "ReviewKD")
"""Methods that look at the teacher's feature maps."""


def main() -> None:
    """Trains, writes and prints."""
    given = parser(__doc__, __file__)
    given.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    given.add_argument(
        "--cached",
        nargs="*",
        choices=ON_MAPS,
        default=[],
        help="whose teacher's maps are cached",
    )
    chosen = given.parse_args()
    start = started()
    name = name_of(chosen)
    found = trained(chosen)
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


def trained(chosen: argparse.Namespace) -> dict[str, list[float]]:
    """Test accuracy of the float student by method, and of the teacher, seed by seed."""
    found: dict[str, list[float]] = {}
    for method in dict.fromkeys([ALONE, *chosen.methods]):
        print(f"{method}:", file=sys.stderr)
        cached = method in chosen.cached
        summary = arm(
            chosen,
            f"distill.method={METHODS[method]}",
            *(("softlabels.features=true",) if cached else ()),
        )
        found["teacher"] = accuracies(summary, "teacher")
        found[method] = accuracies(summary)
    return found


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
