"""What the command says: of the teacher, of candidates, and of a budget that was missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.config.budget import BudgetSettings
from edgekd.deploy import timing
from edgekd.deploy.watch import Clock
from edgekd.errors import BudgetMissed, StageError
from edgekd.pipeline import RunResult
from edgekd.propose.candidates import Candidate
from edgekd.propose.fitting import Outcome
from edgekd.propose.measure import Measured
from edgekd.propose.told import FILE, candidate_rows, nearest
from edgekd.results import Summary
from edgekd.store import write_json
from edgekd.summary import missed_budget
from edgekd.tasks import names

if TYPE_CHECKING:
    from edgekd.data.dataset import Dataset


def check_teacher(summary: Summary, data: Dataset) -> str:
    """A line about how good the given model is on this data.

    Raises:
        StageError: it knows nothing of it: always naming the commonest class would be as good.
    """
    import numpy as np

    teacher = next(m for m in summary.models if m.stage == "teacher")
    score = teacher.validation
    assert score is not None
    metric = getattr(score, "metric", "accuracy")
    if metric == "accuracy" and data.task in ("classification", "binary"):
        guess = float(np.bincount(np.asarray(data.validation.y)).max() / len(data.validation))
        if score.low <= guess:
            raise StageError(
                f"The model is right on {score.value:.1%} of the validation samples; always "
                f"naming the commonest class would be on {guess:.1%}.",
                where=f"validation, {score.n} samples",
                fix="check the classes' order and how the input is normalised (an .onnx file: "
                "--set teacher.input.scale=..., mean, std), or that this is the model's data",
            )
    shown = f"the model: {names.title(metric)} {names.shown(score.value, metric)} on validation"
    if teacher.accuracy is not None:
        shown += f", {names.shown(teacher.accuracy.value, metric)} on test"
    return shown


def nothing_fits(
    outcomes: Sequence[Outcome], left: Sequence[str], budget: BudgetSettings, clock: Clock
) -> BudgetMissed:
    """The error of a budget that no candidate keeps, with the nearest figures."""
    where = nearest(outcomes)
    if not where:
        reasons = "; ".join(dict.fromkeys(r for o in outcomes for r in o.reasons))
        return BudgetMissed("No candidate could be exported.", where=reasons)
    if left:
        minutes = math.ceil(1.5 * clock.bound / 60)
        return BudgetMissed(
            "No candidate that was measured in time keeps the limits, so nothing was trained.",
            where=f"{where}; not settled: {', '.join(left)}",
            fix=f"--minutes {minutes} and no --candidates (the model's answers are kept), or raise "
            f"--budget to what these need{_together(budget)}",
        )
    return BudgetMissed(
        "No candidate keeps the limits of size and time, so nothing was trained.",
        where=where,
        fix=f"raise --budget to what these need{_together(budget)}; for images, a smaller "
        "data.size makes every network faster",
    )


def _together(budget: BudgetSettings) -> str:
    """Size and time are two limits of one file."""
    return " at once" if budget.size is not None and budget.latency else ""


def why_missed(
    result: RunResult, candidate: Candidate, epochs: timing.Epochs, caps: timing.Caps
) -> BudgetMissed | None:
    """Which limits were missed and what may help; None if all are kept."""
    if result.budget_met:
        return None
    error = missed_budget(result.summary, result.folder)
    most = caps.epochs_of(candidate)
    lost = any("accuracy" in row.name for row in result.summary.budget if not row.ok)
    if lost and 0 < epochs.train < most:
        fix = (
            f"the time allowed {epochs.train} of {most} epochs: more --minutes may gain accuracy, "
            "and so may a larger size or time in --budget"
        )
    elif lost and caps.epochs is not None:
        fix = "more --epochs, or a larger size or time in --budget"
    elif lost:
        fix = (
            "the largest network that fits was trained to its end: allow more size or time, or a "
            "larger loss"
        )
    else:
        fix = "the measurement of the trained file came out higher than before: run it again"
    return BudgetMissed(error.what, where=error.where, fix=fix)


def record(
    folder: Path,
    outcomes: Sequence[Outcome],
    left: Sequence[str],
    trials: Sequence[tuple[Measured, float, float]],
    winner: Measured | None,
) -> None:
    """Writes `candidates.json`: every figure, and why each is in or out."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / FILE,
        {
            "candidates": candidate_rows(outcomes),
            "not_measured": list(left),
            "trials": [
                {"candidate": m.candidate.label, "seconds": round(seconds, 1), "score": score}
                for m, seconds, score in trials
            ],
            "winner": winner.candidate.label if winner is not None else None,
        },
    )
