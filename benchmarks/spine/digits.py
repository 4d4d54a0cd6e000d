"""The shipped digits pipeline over several seeds: accuracy, size, latency, parity, two controls.

The control arms: the same student trained without a teacher (`distill.method=labels`, which pruning
and quantization-aware training inherit), and the zoo trained as the teacher is, on labels, of which
the smallest network within 0.2 validation points of the teacher is compared with the student.
"""

from __future__ import annotations

import argparse
import sys
import warnings
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
    number,
    of,
    options,
    percent,
    points,
    started,
    tests,
)
from benchmarks.spine.agreement import agreement
from benchmarks.spine.zoo import latencies, smallest_as_good
from edgekd.config.stages import ModelSettings
from edgekd.report.terminal import PlainProgress
from edgekd.results import Summary

QUICK = [
    "teacher.train.epochs=2",
    "teacher.require.accuracy=0",
    "distill.train.epochs=2",
    "prune.train.epochs=1",
    "quantize.train.epochs=1",
]
ALONE = "distill.method=labels"


def main() -> None:
    """Runs, compares, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... of every arm")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one seed, few epochs")
    chosen = parser.parse_args()
    seeds = 1 if chosen.quick else chosen.seeds
    settings = [*(QUICK if chosen.quick else []), *chosen.settings, f"seeds={seeds}"]

    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    start = started()
    distilled = run(chosen, settings)
    alone = run(chosen, [*settings, ALONE])
    zoo = smallest_as_good(
        lambda more: run(chosen, [*settings, *more], until="teacher"),
        teacher=ModelSettings.model_validate(distilled.summary.settings["teacher"]["model"]),
        mean_validation=interval(validations(distilled.summary))["mean"],
        out=chosen.work / "zoo",
        quick=chosen.quick,
    )
    figures = {
        **accuracies(distilled.summary, alone.summary),
        **sizes(distilled.summary),
        "zoo": zoo.figures,
        "latency": latencies(distilled, zoo.files, quick=chosen.quick),
        "parity": {
            "pipeline": pipeline_parity(distilled.summary),
            "all_samples": agreement(distilled),
        },
    }
    finish(
        "The digits pipeline",
        start,
        runs=f"{seeds} seeds of each arm",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=chosen.results,
    )


def run(
    chosen: argparse.Namespace, settings: list[str], until: str | None = None
) -> edgekd.RunResult:
    """The digits pipeline with other settings. The arms share a run folder, so that they share the
    data and the teacher; every result is read from what `run` gives back.
    """
    return edgekd.run(
        "digits",
        overrides=settings,
        runs=chosen.work,
        until=until,
        progress=PlainProgress(sys.stderr),
    )


def validations(summary: Summary) -> list[float]:
    """The teachers' validation accuracy, by seed."""
    return [m.validation.value for m in of(summary, TEACHER) if m.validation is not None]


def accuracies(distilled: Summary, alone: Summary) -> dict[str, Any]:
    """Test accuracy of each arm and the paired differences."""
    teacher, student = tests(distilled, TEACHER), tests(distilled, STUDENT)
    control = tests(alone, STUDENT)
    return {
        "test_samples": next(m.accuracy.n for m in of(distilled, STUDENT) if m.accuracy),
        "teacher_test": interval(teacher),
        "teacher_validation": interval(validations(distilled)),
        "student_test": interval(student),
        "student_minus_teacher": interval(differences(student, teacher)),
        "alone_test": interval(control),
        "distilled_minus_alone": interval(differences(student, control)),
    }


def sizes(summary: Summary) -> dict[str, Any]:
    """Bytes and parameters; of several seeds, which pruning may cut differently, the largest."""
    students, teachers = of(summary, STUDENT), of(summary, TEACHER)
    return {
        "student_bytes": [m.bytes for m in students],
        "student_parameters": [m.parameters for m in students],
        "student_macs": [m.macs for m in students],
        "teacher_parameters": teachers[0].parameters,
        "teacher_macs": teachers[0].macs,
        "parameters_ratio_to_teacher": max(m.parameters for m in students) / teachers[0].parameters,
    }


def pipeline_parity(summary: Summary) -> dict[str, Any]:
    """The worst of what the export stages found on the validation samples, student in int8."""
    found = [p for p in summary.parity if (p.stage, p.precision) == ("student", "int8")]
    return {
        "agreement": min(p.agreement for p in found),
        "within_one_step": min(p.within_one_step for p in found),
        "max_steps": max(p.max_steps for p in found),
        "near_ties": max(p.near_ties for p in found),
        "samples": found[0].n,
        "comparisons": len(found),
    }


def rows(f: dict[str, Any]) -> list[Row]:
    """The table."""
    parity, zoo, latency = f["parity"]["all_samples"], f["zoo"], f["latency"]
    biggest = max(f["student_bytes"])
    drop, control = f["student_minus_teacher"], f["distilled_minus_alone"]
    n = f["test_samples"]
    return [
        Row(
            f"teacher, mean test accuracy (n = {n})",
            mean_percent(f["teacher_test"]),
            "≥ 98.5 %",
            f["teacher_test"]["mean"] >= 0.985,
        ),
        Row("int8 student in LiteRT, mean test accuracy", mean_percent(f["student_test"])),
        Row(
            "student - teacher, paired by seed",
            points(drop),
            "≥ -0.5 points",
            drop["mean"] >= -0.005,
        ),
        Row("student's .tflite, largest", f"{biggest / 1000:.1f} kB", "≤ 25 kB", biggest <= 25_000),
        ratio("parameters, student / teacher", f["parameters_ratio_to_teacher"], 20),
        ratio("p50 in LiteRT, 1 thread, student / teacher", latency["student_by_teacher"], 10),
        Row(
            "smallest zoo network within 0.2 validation points of the teacher",
            f"{zoo['name']}: {zoo['parameters']:,} parameters, validation "
            f"{percent(zoo['validation']['mean'])} "
            f"(teacher {percent(f['teacher_validation']['mean'])})",
        ),
        ratio(
            "parameters, student / that network",
            max(f["student_parameters"]) / zoo["parameters"],
            20,
        ),
        ratio(
            "p50 in LiteRT, 1 thread, student / that network (float32)",
            latency["student_by_zoo"],
            10,
        ),
        Row(
            "distilled - trained alone, int8 in LiteRT, paired by seed",
            f"{points(control)}; alone {mean_percent(f['alone_test'])}",
            "stated",
        ),
        Row(
            f"int8 parity of torch, ONNX Runtime, LiteRT on all {parity['samples']} samples",
            f"agreement {percent(parity['agreement'])} but for at most {parity['near_ties']} "
            f"near-ties; {percent(parity['within_one_step'])} of outputs within 1 step, at most "
            f"{parity['max_steps']:.1f} steps",
            "100 %; ≥ 99 % within 1 step",
            parity["agreement"] == 1 and parity["within_one_step"] >= 0.99,
        ),
    ]


def ratio(what: str, value: float | dict[str, Any], aim: int) -> Row:
    """A row of a ratio that should be 1 / `aim` or less; of several, their median is judged."""
    if not isinstance(value, dict):
        return Row(what, _inverse(value), f"aim ≤ 1/{aim}", value <= 1 / aim)
    middle = value["median"]
    shown = f"{_inverse(middle)} (median; mean {number(value)})"
    return Row(what, shown, f"aim ≤ 1/{aim}", middle <= 1 / aim)


def _inverse(value: float) -> str:
    return f"1/{1 / value:.1f} ({value:.3f})" if value < 1 else f"{value:.2f}"


if __name__ == "__main__":
    main()
