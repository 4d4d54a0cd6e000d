"""Does distillation survive int8? A student alone and a distilled one, each in three int8 forms.

    python -m benchmarks.quantization.distilled --data fsdd.zip --seeds 5
    python -m benchmarks.quantization.distilled --data cifar10-jpeg.zip --seeds 3 --share 0.1

The forms are PTQ, QAT with the labels, and QAT with the teacher. All students of a seed start from
the same first weights and have the same samples and steps; pipeline files, data and splits are
those of `benchmarks/distillation`. Accuracy is that of the integer network in torch, which answers
as both runtimes do (`benchmarks/quantization/zoo.py` measures that).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks.common import Row, differences, finish, interval, mean_percent, points, started
from benchmarks.distillation.arms import ALONE, accuracies, arm, name_of, parser

STUDENTS = {"alone": ALONE, "distilled": "kd"}
"""`distill.method`."""
FORMS = {
    "PTQ": "{mode: ptq}",
    "QAT on labels": "{mode: qat, method: labels, train: {epochs: 6}}",
    "QAT distilled": "{mode: qat, method: kd, train: {epochs: 6}}",
}
"""`quantize`."""
LOSS = 0.003


def main() -> None:
    """Trains, writes and prints."""
    chosen = parser(__doc__, __file__).parse_args()
    start = started()
    found = {student: of_student(chosen, method) for student, method in STUDENTS.items()}
    figures = compared(found)
    finish(
        f"Does distillation survive int8? {name_of(chosen)}",
        start,
        runs=f"{chosen.seeds} seeds of each form",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=chosen.results,
        name=f"distilled-{name_of(chosen)}",
    )


def of_student(chosen: argparse.Namespace, method: str) -> dict[str, list[float]]:
    """Test accuracy of a student's float form and its int8 forms, seed by seed."""
    found: dict[str, list[float]] = {}
    for form, quantize in FORMS.items():
        print(f"{method}, {form}:", file=sys.stderr)
        wanted = quantize.replace("epochs: 6", "epochs: 1") if chosen.quick else quantize
        summary = arm(chosen, f"distill.method={method}", f"quantize={wanted}", until="quantize")
        found["float"] = accuracies(summary)
        found[form] = accuracies(summary, "quantize", precision="int8")
    return found


def compared(found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Means with intervals; what int8 takes from each float form, and what distilling brings in
    each form.
    """
    forms = ["float", *FORMS]
    return {
        "test": {s: {form: interval(found[s][form]) for form in forms} for s in found},
        "minus_float": {
            s: {form: interval(differences(found[s][form], found[s]["float"])) for form in FORMS}
            for s in found
        },
        "gain": {
            form: interval(differences(found["distilled"][form], found["alone"][form]))
            for form in forms
        },
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table."""
    found = []
    for student, forms in figures["test"].items():
        for form, figure in forms.items():
            told = mean_percent(figure)
            loss = figures["minus_float"][student].get(form)
            judged = student == "distilled" and form == "QAT distilled"
            if loss is not None:
                told += f"; {points(loss)} to its float form"
            found.append(
                Row(
                    f"{student}, {form}",
                    told,
                    "≥ -0.3 points" if judged else "",
                    loss["mean"] >= -LOSS if judged and loss is not None else None,
                )
            )
    return [
        *found,
        *(Row(f"distilled - alone, {form}", points(g)) for form, g in figures["gain"].items()),
    ]


if __name__ == "__main__":
    main()
