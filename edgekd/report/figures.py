"""Which figures of a `Summary` stand against each other: the teacher and what came out at the end.

Everything here is about the run's first seed; `Summary.over_seeds` speaks for the others.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from edgekd.report import units
from edgekd.results import (
    Accuracy,
    BenchFigures,
    BudgetFigures,
    ModelFigures,
    QualityFigures,
    Summary,
)
from edgekd.spec import HEADLINE
from edgekd.tasks import names

TEACHER = "teacher"
CONTROL = "control-"
NUMBER = re.compile(r"-a?([0-9]+)$")
BESIDE = (CONTROL, "teacher-", "assistant")
"""Before the stages whose models are told elsewhere."""
"""Before the names of the control arm's stages."""
TITLES = {
    "teacher": "Teacher",
    "distill": "Distilled",
    "finetune": "Fine-tuned",
    "prune": "Pruned",
    "quantize": "Quantized",
    "check": "Teacher check",
    "ensemble": "All together",
}
RUNTIMES = {
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "litert": "LiteRT",
    "onnxruntime-web": "ONNX Runtime Web",
    "litert.js": "LiteRT.js",
}
FORMATS = {"torch": "PyTorch", "onnx": "ONNX", "tflite": "TFLite", "ort": "ORT"}


def base(node: str) -> str:
    """The stage of a node: "distill@1" is "distill"."""
    return node.partition("@")[0]


def title(node: str) -> str:
    """The stage's name for a reader; of "distill@1", "Distilled, seed 1"."""
    stage, _, seed = node.partition("@")
    if stage.startswith(CONTROL):
        inner = title(node.removeprefix(CONTROL))
        return f"Control, {inner[:1].lower()}{inner[1:]}"
    name = TITLES.get(stage) or NUMBER.sub(r" \1", stage[:1].upper() + stage[1:])
    return f"{name}, seed {seed}" if seed else name


def first_seed(summary: Summary) -> list[ModelFigures]:
    """The models of the first seed, but those that stand beside the line from teacher to student:
    the control arm's, and of several teachers each.
    """
    return [
        model
        for model in summary.models
        if model.seed == summary.seed and not model.stage.startswith(BESIDE)
    ]


def model_stages(summary: Summary) -> list[str]:
    """Stages that made models, in the order of the run."""
    made = [base(model.stage) for model in first_seed(summary)]
    ran = [base(stage.name) for stage in summary.stages]
    return list(dict.fromkeys([s for s in ran if s in made] + made))


def deployed_format(summary: Summary) -> str:
    """The format that is judged: the budget's, or the first of tflite, onnx, torch that exists."""
    found = {model.format for model in first_seed(summary) if base(model.stage) != TEACHER}
    found = found or {model.format for model in first_seed(summary)}
    asked = (summary.settings.get("budget") or {}).get("format")
    order = [asked, "tflite", "onnx", "torch"]
    return next((name for name in order if name in found), "torch")


def of_stage(summary: Summary, stage: str, format: str) -> ModelFigures | None:
    """The model of a stage in `format`, or in PyTorch's, or in any; int8 comes first."""
    models = [model for model in first_seed(summary) if base(model.stage) == stage]
    order = {format: 0, "torch": 1}
    models.sort(key=lambda m: (order.get(m.format, 2), m.precision != "int8"))
    return models[0] if models else None


def final_model(summary: Summary) -> ModelFigures | None:
    """The last stage's model in the deployed format."""
    wanted = deployed_format(summary)
    stages = [stage for stage in model_stages(summary) if stage != TEACHER]
    for stage in reversed(stages):
        found = of_stage(summary, stage, wanted)
        if found is not None and found.format == wanted:
            return found
    return of_stage(summary, TEACHER, wanted)


def bench_of(
    summary: Summary, model: ModelFigures, like: BenchFigures | None = None
) -> BenchFigures | None:
    """The measurement of `model` with the fewest threads on the first device that has times.

    Args:
        like: where given, only a measurement on its device, runtime and thread count counts.
    """
    found = [bench for bench in summary.bench if bench.model == model.path]
    if like is not None:
        same = (like.device, like.runtime, like.threads)
        found = [b for b in found if (b.device, b.runtime, b.threads) == same]
    device = next((b.device for b in (*filter(_timed, found), *found)), "")
    found = [bench for bench in found if bench.device == device]
    return min(found, key=lambda bench: bench.threads or math.inf, default=None)


def _timed(bench: BenchFigures) -> bool:
    return bench.latency_us is not None


def accuracy_of(summary: Summary, model: ModelFigures) -> Accuracy | None:
    """On the test set if it is known, else as benchmarked, else on the validation set."""
    if model.accuracy is not None:
        return model.accuracy
    bench = bench_of(summary, model)
    if bench is not None and bench.accuracy is not None:
        return bench.accuracy
    return model.validation


def metric_of(summary: Summary) -> str:
    """The headline score of the run's task, such as "accuracy"."""
    found = (accuracy_of(summary, model) for model in first_seed(summary))
    return next((accuracy.metric for accuracy in found if accuracy is not None), "accuracy")


@dataclass(frozen=True)
class Comparison:
    """The teacher and the final model, with measurements that may be compared."""

    teacher: ModelFigures | None
    final: ModelFigures
    teacher_accuracy: Accuracy | None
    final_accuracy: Accuracy | None
    teacher_bench: BenchFigures | None
    final_bench: BenchFigures | None
    teacher_quality: QualityFigures | None = None
    final_quality: QualityFigures | None = None

    @property
    def speedup(self) -> float | None:
        """How many times as fast as the teacher in the same runtime, device and thread count."""
        if self.teacher_bench is None or self.final_bench is None:
            return None
        before, after = self.teacher_bench.p50_us, self.final_bench.p50_us
        return None if before is None or after is None else before / after


def compare(summary: Summary) -> Comparison | None:
    """The teacher against the final model; None in a run that made no model."""
    final = final_model(summary)
    if final is None:
        return None
    teacher = None
    if base(final.stage) != TEACHER:
        teacher = of_stage(summary, TEACHER, final.format)
    final_bench = bench_of(summary, final)
    teacher_bench = None
    if teacher is not None and final_bench is not None:
        teacher_bench = bench_of(summary, teacher, like=final_bench)
    return Comparison(
        teacher=teacher,
        final=final,
        teacher_accuracy=accuracy_of(summary, teacher) if teacher else None,
        final_accuracy=accuracy_of(summary, final),
        teacher_bench=teacher_bench,
        final_bench=final_bench,
        teacher_quality=_quality_of(summary, "teacher", "float32"),
        final_quality=_quality_of(summary, "student", final.precision),
    )


def _quality_of(summary: Summary, stage: str, precision: str) -> QualityFigures | None:
    wanted = (stage, precision, summary.seed)
    return next((q for q in summary.quality if (q.stage, q.precision, q.seed) == wanted), None)


def headline(summary: Summary) -> str:
    """The result in one sentence."""
    both = compare(summary)
    if both is None:
        return "This run made no model"
    final, teacher = both.final, both.teacher
    parts = [f"{units.about(final.parameters)} parameters"]
    if both.final_accuracy:
        parts.append(_score(both.final_accuracy))
    parts.append(units.size(final.bytes))
    if teacher is None:
        if both.final_bench:
            parts.append(units.microseconds(both.final_bench.p50_us))
        return "; ".join(parts)
    before = [f"{units.about(teacher.parameters)} parameters"]
    if both.final_accuracy:
        before.append(_score(both.teacher_accuracy) if both.teacher_accuracy else units.NONE)
    before.append(units.size(teacher.bytes))
    parts[0] = units.about(final.parameters)
    if both.final_accuracy:
        parts[1] = units.score(both.final_accuracy.value, both.final_accuracy.metric)
    arrows = [f"{a} → {b}" for a, b in zip(before, parts, strict=True)]
    if both.speedup and both.final_bench:
        where = f"in {RUNTIMES.get(both.final_bench.runtime, both.final_bench.runtime)}"
        fast = both.speedup >= 1
        factor = units.significant(both.speedup if fast else 1 / both.speedup, 2)
        word = "faster" if fast else "slower"
        arrows.append(f"{factor}× {word} {where} on {both.final_bench.device}")
    return "; ".join(arrows)


def _score(accuracy: Accuracy) -> str:
    """A score in a sentence: an accuracy goes without saying, others with their name."""
    text = units.score(accuracy.value, accuracy.metric)
    return text if accuracy.metric == "accuracy" else f"{names.title(accuracy.metric)} {text}"


def relation(budget: BudgetFigures) -> str:
    """Whether the limit is an upper (≤) or a lower (≥) one, as its verdict tells."""
    if budget.value is None:
        return "≤"  # only times can be unverified
    above = budget.value > budget.limit
    if budget.value == budget.limit:
        return "≥" if budget.name in map(names.title, HEADLINE.values()) else "≤"
    return "≥" if above == budget.ok else "≤"
