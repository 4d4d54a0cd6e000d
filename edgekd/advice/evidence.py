"""What a run knows about its student, for the rules to judge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekd.config.methods import parts_of
from edgekd.config.stages import DistillSettings
from edgekd.results import Estimate, ModelFigures, RetentionFigures, Summary
from edgekd.tasks.names import is_share, shown
from edgekd.train.history import EpochRecord


@dataclass(frozen=True)
class Evidence:
    """What a run knows about its student; None where it does not."""

    metric: str
    teacher: float | None = None
    """Score on the test set."""
    student: float | None = None
    """Of the last form."""
    low: float | None = None
    """Ends of its 95 % interval."""
    high: float | None = None
    train: float | None = None
    """Of the distilled student on training samples."""
    teacher_train: float | None = None
    validation: float | None = None
    """Of the distilled student."""
    validation_noise: float | None = None
    """Half of the 95 % interval of that."""
    missed: float | None = None
    """Its divergence from the teacher on training samples, as a share of the divergence of an
    answer that is the same for all samples: how much of the teacher's answers it missed."""
    late_fall: float | None = None
    """Share by which the training's loss fell in the second half of its epochs."""
    epochs: int | None = None
    temperature: float | None = None
    entropy: float | None = None
    """Of the soft targets, as a share of the largest."""
    gain: float | None = None
    """By the teacher, of the last form, and the ends of its interval."""
    gain_low: float | None = None
    gain_high: float | None = None
    control_train: float | None = None
    """Of the control arm on training samples."""
    pruned: Estimate | None = None
    """What pruning changed."""
    quantized: Estimate | None = None
    """What int8 changed against the form before it."""
    gap: float | None = None
    """The teacher's parameters over the student's."""
    settings: Mapping[str, Any] | None = None
    """The pipeline, every default written out."""

    def score(self, value: float | None) -> str:
        """A score as text."""
        return "–" if value is None else shown(value, self.metric)

    def points(self, value: float | None) -> str:
        """A difference of scores as text."""
        if value is None:
            return "–"
        text = f"{100 * value:+.1f} points" if is_share(self.metric) else f"{value:+.3f}"
        return text.replace("-", "−")

    def ends(self, low: float, high: float) -> str:
        """An interval of a difference as text."""
        return f"{self.points(low).removesuffix(' points')} to {self.points(high)}"

    def around(self, estimate: Estimate) -> str:
        """The interval of an estimate as text."""
        return self.ends(estimate.low, estimate.high)

    def setting(self, path: str) -> Any:
        """A setting of the pipeline, such as "distill.train.epochs"; None where there is none."""
        value: Any = self.settings
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def method(self, **changes: float) -> str | None:
        """The method of `distill` with other fields, as an override; None where it has none such,
        or is a list. It is whole, as the file may leave the method out.
        """
        now = self.setting("distill.method")
        if not isinstance(now, Mapping) or not changes.keys() <= now.keys():
            return None
        (fresh,) = parts_of(
            DistillSettings.model_validate({"method": {"name": now["name"]}}).method
        )
        given = {k: v for k, v in now.items() if v != fresh.model_dump(mode="json").get(k)}
        fields = {"name": now["name"], **given, **changes}
        return "distill.method={" + ", ".join(f"{k}: {_yaml(v)}" for k, v in fields.items()) + "}"


def evidence(summary: Summary, epochs: Sequence[EpochRecord]) -> Evidence:
    """The evidence of a run's first seed; `epochs` are of the student's first training."""
    ours = [row for row in summary.retention if row.seed == summary.seed]
    by = {(row.stage, row.precision): row for row in ours}
    students = [r for r in ours if r.stage != "teacher" and not r.stage.startswith("control-")]
    if not students:
        return Evidence("accuracy")
    last, teacher = students[-1], by.get(("teacher", "float32"))
    distilled = by.get(("distill", "float32"))
    control = by.get(("control-distill", "float32"))
    gain = next(
        (
            row
            for row in reversed(summary.gain)
            if row.precision == last.precision and row.seed in (None, summary.seed)
        ),
        None,
    )
    model = next(
        (m for m in summary.models if m.stage == "distill" and m.seed == summary.seed), None
    )
    validation = model.validation if model is not None else None
    check = next((row for row in summary.teachers if row.seed == summary.seed), None)
    pruned, quantized = by.get(("prune", "float32")), by.get(("quantize", "int8"))
    return Evidence(
        metric=last.score.metric,
        teacher=teacher.score.value if teacher else None,
        student=last.score.value,
        low=last.score.low,
        high=last.score.high,
        train=distilled.train.value if distilled and distilled.train else None,
        teacher_train=teacher.train.value if teacher and teacher.train else None,
        validation=validation.value if validation else None,
        validation_noise=(validation.high - validation.low) / 2 if validation else None,
        missed=_missed(distilled, teacher),
        late_fall=late_fall([record.loss for record in epochs]),
        epochs=len(epochs) or None,
        temperature=check.temperature if check else None,
        entropy=check.entropy if check else None,
        gain=gain.gain if gain else None,
        gain_low=gain.low if gain else None,
        gain_high=gain.high if gain else None,
        control_train=control.train.value if control and control.train else None,
        pruned=pruned.step if pruned else None,
        quantized=quantized.step if quantized else None,
        gap=_gap(summary, model),
        settings=_with_method(summary.settings, epochs),
    )


def _with_method(settings: Mapping[str, Any], epochs: Sequence[EpochRecord]) -> dict[str, Any]:
    """The settings, with the method that was trained by in the place of `default`."""
    distill = settings.get("distill")
    if not epochs or not isinstance(distill, Mapping):
        return dict(settings)
    by = next((name for name in ("dist", "kd") if name in epochs[-1].parts), None)
    if by is None or distill.get("method") != {"name": "default"}:
        return dict(settings)
    method = DistillSettings.model_validate({"method": {"name": by}}).model_dump(mode="json")
    return {**settings, "distill": {**distill, "method": method["method"]}}


def _gap(summary: Summary, student: ModelFigures | None) -> float | None:
    """See `Evidence.gap`."""
    teacher = next((m for m in summary.models if m.stage == "teacher"), None)
    if teacher is None or student is None or not teacher.parameters or not student.parameters:
        return None
    return teacher.parameters / student.parameters


def late_fall(losses: Sequence[float]) -> float | None:
    """The share by which a loss fell in the second half of its epochs, either end a mean over a
    sixth of them, as the views of an augmentation differ; None of fewer than four epochs.
    """
    n = len(losses)
    if n < 4:
        return None
    width = max(1, n // 6)
    start = n // 2 - 1 - width // 2
    before, after = losses[start : start + width], losses[n - width :]
    first = sum(before) / width
    return 1 - sum(after) / width / first if first > 0 else None


def _missed(student: RetentionFigures | None, teacher: RetentionFigures | None) -> float | None:
    """See `Evidence.missed`."""
    if student is None or teacher is None or student.train_divergence is None:
        return None
    largest = teacher.train_information
    return student.train_divergence / largest if largest else None


def _yaml(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)
