"""What may limit a student, as data: what has to be known, when a rule holds, how much score is at
stake, and what to say and to try.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekd.advice.evidence import Evidence
from edgekd.stages.assistant import LARGE_GAP

STILL_FALLING = 0.4
"""A training whose loss falls by more than this share in its second half could go on. Of digits'
students that were cut at 5 and 20 epochs it fell by more than a half; of those that 60 epochs
brought to rest, by a sixth to a third: the rate goes down meanwhile."""
AT_REST = 0.35
"""One whose loss falls by less than this has come to its end."""
MISSED = 0.1
"""A student that misses more than this share of what the teacher says about its training samples,
when it has come to rest, follows the teacher badly."""
OVERFIT = 0.02
"""Score on training above validation from which data is short, where it is more than noise."""
BEHIND = 0.01
"""Score on training below the teacher's from which the student is called short of capacity."""
HARD, FLAT = 0.1, 0.95
"""Soft targets of less entropy (as a share of the largest) are hardly more than labels; of more,
hardly anything."""
ON_LOGITS = ("kd", "dkd", "dist", "nkd", "mlkd", "ctkd")
"""Methods that a chain of teachers can hand on."""


@dataclass(frozen=True)
class Rule:
    """When something limits the student, and what to do about it."""

    limit: str
    needs: tuple[str, ...]
    """Fields of `Evidence` without which it is silent, and which it shows."""
    holds: Callable[[Any], bool]
    stake: Callable[[Any], float]
    finding: Callable[[Any], str]
    advice: Callable[[Any], tuple[str, str | None]]
    """In a sentence, and as an override where it is one."""


def _more_epochs(path: str) -> Callable[[Evidence], tuple[str, str | None]]:
    def advice(e: Evidence) -> tuple[str, str | None]:
        epochs = e.setting(path)
        return "Train for twice as long.", f"{path}={2 * epochs}" if epochs else None

    return advice


def _wider(e: Evidence) -> tuple[str, str | None]:
    width, name = e.setting("student.model.width"), e.setting("student.model.name")
    if e.setting("student.copy_of") or not width or ":" in str(name or ":"):
        return "Take a larger student.", None
    return "Take a wider student.", f"student.model.width={1.5 * width:g}"


def _closer_teacher(e: Evidence) -> tuple[str, str | None]:
    if e.setting("distill.method.name") == "kd" and e.metric == "accuracy":
        text = (
            "Learn the relations among the teacher's answers instead of their values, by DIST. If "
            "that does not help: a teacher between the two (an assistant), or one that was trained "
            "for fewer epochs."
        )
        return text, "distill.method={name: dist}"
    if e.gap is not None and e.gap >= LARGE_GAP and _may_have_an_assistant(e):
        text = (
            "Put an assistant between the two, or take a teacher that was trained for fewer epochs."
        )
        return text, "distill.assistant=auto"
    epochs = e.setting("teacher.train.epochs")
    setting = f"teacher.train.epochs={epochs // 2}" if epochs and epochs > 1 else None
    return "Take a teacher that was trained for fewer epochs.", setting


def _may_have_an_assistant(e: Evidence) -> bool:
    """Whether `assistant: auto` would find one: it takes the student's network, wider."""
    student = str(e.setting("student.model.name") or ":")
    on_logits = e.setting("distill.method.name") in ON_LOGITS
    return on_logits and ":" not in student and e.setting("distill.assistant") == []


def _more_data(e: Evidence) -> tuple[str, str | None]:
    augment = e.setting("data.augment") or {}
    views = augment.get("views") or 1
    varied = any(value for name, value in augment.items() if name != "views")
    if varied:
        return "Show more variations of each sample.", f"data.augment.views={2 * max(views, 2)}"
    decay = e.setting("distill.train.weight_decay")
    text = "More samples help most, then variations of them (data.augment), then weight decay."
    return text, f"distill.train.weight_decay={2.5 * decay:g}" if decay else None


def _temperature(factor: float) -> Callable[[Evidence], tuple[str, str | None]]:
    def advice(e: Evidence) -> tuple[str, str | None]:
        word = "Raise" if factor > 1 else "Lower"
        now = e.setting("distill.method.temperature")
        setting = e.method(temperature=factor * now) if isinstance(now, int | float) else None
        return f"{word} the temperature.", setting

    return advice


def _quantizer(e: Evidence) -> tuple[str, str | None]:
    if e.setting("quantize.mode") == "ptq":
        return "Train through the quantizer instead of only calibrating it.", "quantize.mode=qat"
    return _more_epochs("quantize.train.epochs")(e)


def _keep_more(e: Evidence) -> tuple[str, str | None]:
    if e.setting("prune.limit") is not None:
        return "Prune less: raise prune.limit.", None
    keep = e.setting("prune.keep")
    more = round(min(0.95, (1 + keep) / 2), 2) if keep else None
    return "Prune less.", f"prune.keep={more}" if more else None


def _no_gain(e: Evidence) -> tuple[str, str | None]:
    weight = e.setting("distill.method.ce_weight")
    if not isinstance(weight, int | float):
        return "Try another method or another teacher.", None
    if weight < 1:
        text = "Give the labels more weight, or take another teacher."
        return text, e.method(ce_weight=1.0)
    of_teacher = e.setting("distill.method.weight")
    setting = e.method(weight=of_teacher / 2) if isinstance(of_teacher, int | float) else None
    return "Give the teacher less weight, or take another one.", setting


def _rest(e: Evidence) -> float:
    """What the teacher has over the student, at least a little."""
    return max(0.0, (e.teacher or 0.0) - (e.student or 0.0))


RULES: tuple[Rule, ...] = (
    Rule(
        "quantizer",
        ("quantized",),
        lambda e: e.quantized.high < 0,
        lambda e: -e.quantized.value,
        lambda e: f"Int8 costs {e.points(e.quantized.value)} ({e.around(e.quantized)}).",
        _quantizer,
    ),
    Rule(
        "pruning",
        ("pruned",),
        lambda e: e.pruned.high < 0,
        lambda e: -e.pruned.value,
        lambda e: f"Pruning costs {e.points(e.pruned.value)} ({e.around(e.pruned)}).",
        _keep_more,
    ),
    Rule(
        "epochs",
        ("late_fall", "train", "teacher_train", "epochs"),
        lambda e: e.late_fall > STILL_FALLING and e.train < e.teacher_train,
        lambda e: max(0.01, e.teacher_train - e.train),
        lambda e: (
            f"After {e.epochs} epochs the loss fell by {e.late_fall:.0%} in their second half, "
            f"and the student reaches {e.score(e.train)} on training samples, the teacher "
            f"{e.score(e.teacher_train)}."
        ),
        _more_epochs("distill.train.epochs"),
    ),
    Rule(
        "capacity gap",
        ("late_fall", "missed", "train", "teacher_train"),
        lambda e: (
            e.late_fall < AT_REST
            and e.missed > MISSED
            and (e.control_train is None or e.control_train >= e.train - BEHIND)
        ),
        lambda e: max(_rest(e), e.teacher_train - e.train, 0.01),
        lambda e: (
            f"The student came to rest and still misses {e.missed:.0%} of what the teacher says "
            f"about its training samples"
            + (
                f"; on labels alone it reaches {e.score(e.control_train)} there, with the "
                f"teacher {e.score(e.train)}."
                if e.control_train is not None
                else ": it cannot follow this teacher."
            )
        ),
        _closer_teacher,
    ),
    Rule(
        "capacity",
        ("late_fall", "train", "teacher_train"),
        lambda e: e.late_fall < AT_REST and e.train < e.teacher_train - BEHIND,
        lambda e: e.teacher_train - e.train,
        lambda e: (
            f"The training came to rest at {e.score(e.train)} on its own samples, where the "
            f"teacher has {e.score(e.teacher_train)}: the student has no room for more."
        ),
        _wider,
    ),
    Rule(
        "data",
        ("train", "validation", "validation_noise"),
        lambda e: e.train - e.validation > max(OVERFIT, e.validation_noise),
        lambda e: e.train - e.validation,
        lambda e: (
            f"The student reaches {e.score(e.train)} on training samples and "
            f"{e.score(e.validation)} on validation: it learns them by heart."
        ),
        _more_data,
    ),
    Rule(
        "control",
        ("gain", "gain_low", "gain_high"),
        lambda e: e.gain_high < 0,
        lambda e: -e.gain,
        lambda e: (
            f"The same student is better without the teacher: {e.points(e.gain)} with it "
            f"({e.ends(e.gain_low, e.gain_high)})."
        ),
        _no_gain,
    ),
    Rule(
        "control",
        ("gain", "gain_low", "gain_high"),
        lambda e: e.gain_low <= 0 <= e.gain_high,
        lambda e: 0.25 * _rest(e),
        lambda e: (
            f"The control arm shows no gain by the teacher: {e.points(e.gain)} "
            f"({e.ends(e.gain_low, e.gain_high)})."
        ),
        lambda e: (
            "More seeds tell whether there is one: the interval is then over them.",
            f"seeds={3 if (e.setting('seeds') or 1) < 3 else 2 * e.setting('seeds')}",
        ),
    ),
    Rule(
        "temperature",
        ("entropy", "temperature"),
        lambda e: e.entropy < HARD,
        lambda e: 0.5 * _rest(e),
        lambda e: (
            f"At temperature {e.temperature:g} the teacher's soft targets have {e.entropy:.0%} of "
            "the largest entropy: they say little more than the labels."
        ),
        _temperature(2.0),
    ),
    Rule(
        "temperature",
        ("entropy", "temperature"),
        lambda e: e.entropy > FLAT and e.temperature > 1,
        lambda e: 0.5 * _rest(e),
        lambda e: (
            f"At temperature {e.temperature:g} the teacher's soft targets have {e.entropy:.0%} of "
            "the largest entropy: all classes look alike in them."
        ),
        _temperature(0.5),
    ),
    Rule(
        "teacher",
        ("teacher", "student", "low", "high"),
        lambda e: e.high >= e.teacher and e.teacher < 0.995,
        lambda e: 0.1 * (1 - e.teacher),
        lambda e: (
            f"The student is as good as its teacher, as far as the test samples tell: "
            f"{e.score(e.student)} ({e.score(e.low)} to {e.score(e.high)}) against "
            f"{e.score(e.teacher)}."
        ),
        lambda e: ("Take a better teacher, or a smaller student.", None),
    ),
)
"""All rules. Where two have as much at stake, the earlier is told first."""
