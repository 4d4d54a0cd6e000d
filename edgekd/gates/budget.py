"""A run against limits of its own: the budget."""

from __future__ import annotations

from edgekd.config.gate import GateSettings
from edgekd.gates.finding import Finding, Outcome, fails, verdict
from edgekd.gates.intervals import NOTHING, Interval, difference, of_median, of_score, stretched
from edgekd.gates.judged import Judged
from edgekd.report import units
from edgekd.results import Accuracy
from edgekd.statistics import mean_interval
from edgekd.verdicts import MAE, Limited, limited, teachers


def judge_budget(run: Judged, limits: GateSettings) -> list[Finding]:
    """The verdict on every limit; over several seeds, on the mean, as `edgekd run` judges."""
    summary, file = run.summary, run.file
    rows = limited(limits, file.format, file.precision, summary.models, summary.bench)
    return [_judged(row, run, limits) for row in rows]


def _judged(row: Limited, run: Judged, limits: GateSettings) -> Finding:
    value, note = row.value, ""
    ends: Interval | None = None
    if value is None:
        outcome: Outcome = "unverified"
        note = _why_not(row, run)
    elif limits.confidence is None or row.kind == "size":
        outcome = "kept" if row.keeps(value) else "failed"
    else:
        ends = _interval(row, run, limits.confidence)
        outcome = _side(row, ends)
        if ends == NOTHING:
            note = _unknown(row)
        elif outcome == "unverified":
            note = f"at {limits.confidence:.4g} confidence the limit is neither kept nor missed"
    return Finding(
        group="budget",
        rule=row.name,
        outcome=outcome,
        fails=fails(outcome, limits.unverified),
        found=_found(row, value, ends),
        limit=f"{'≥' if row.at_least else '≤'} {shown(row.limit, row.unit)}",
        note=note,
    )


def _side(row: Limited, ends: Interval) -> Outcome:
    """On which side of the limit the interval lies."""
    if row.at_least:
        return verdict(-ends[1], -ends[0], -row.limit)
    return verdict(*ends, row.limit)


def _interval(row: Limited, run: Judged, confidence: float) -> Interval:
    """Of what was reached.

    Of several seeds, of their mean, and no narrower than that of the first seed's test samples:
    seeds that answer alike tell nothing about other samples.
    """
    if row.kind == "p50" and len(row.values) == 1:
        return of_median(row.bench[0], confidence)
    value, ends = _of_samples(row, run, confidence)
    if len(row.values) == 1:
        return ends
    mean, low, high = mean_interval(row.values, confidence)
    if ends == NOTHING:
        return low, high
    return min(low, mean + ends[0] - value), max(high, mean + ends[1] - value)


def _of_samples(row: Limited, run: Judged, confidence: float) -> tuple[float, Interval]:
    """What the first seed reached, with the interval that its test samples give."""
    if row.kind == "mae":
        errors = [m for m in run.file.metrics if (m.name, m.target) == MAE]
        if errors:
            ends = errors[0].low, errors[0].high
            return errors[0].value, stretched(errors[0].value, ends, confidence)
    score = run.file.accuracy
    if row.kind == "score" and score is not None:
        return score.value, of_score(score, confidence)
    teacher = teachers(run.summary.models).get(run.summary.seed)
    if row.kind == "drop" and score is not None and teacher is not None:
        drop = teacher.value - score.value
        return drop, _drop(drop, teacher, score, run, confidence)
    return 0.0, NOTHING


def _drop(
    drop: float, before: Accuracy, score: Accuracy, run: Judged, confidence: float
) -> Interval:
    """Of the teacher's score less the student's: paired by sample where both left their answers."""
    from edgekd.quality.retention import change

    ours, teacher = run.answers(), run.teacher_answers()
    if ours is not None and teacher is not None and run.data is not None:
        found = change(teacher, ours, run.data.test.y, run.data.model_spec(""), confidence)
        return drop + found.low - found.value, drop + found.high - found.value
    return difference(
        before.value, of_score(before, confidence), score.value, of_score(score, confidence)
    )


def _why_not(row: Limited, run: Judged) -> str:
    if row.unit != "us":
        return "nothing measured it: the file was not benched with the data"
    device = row.name.partition(" on ")[2].rpartition(",")[0]
    there = [r for r in run.summary.bench if r.model == run.file.path and r.device == device]
    emulated = next((r.emulated for r in there if r.emulated), None)
    if emulated:
        return f"{device} is an emulated {emulated}, which has no times of its own"
    if any(r.latency_us is not None and r.latency_us.p90 is None for r in there):
        return f"what measures on {device} tells no 90th percentile: limit p50"
    if there:
        return f"it was not measured with so many threads: bench.threads of {run.pipeline.name}"
    return f"{device} gave no times: it could not be reached, or is not one of bench.devices"


def _unknown(row: Limited) -> str:
    if row.kind == "p90":
        return "there is no interval of a 90th percentile: limit p50, or leave confidence out"
    return "one process tells nothing about how starts differ: set bench.processes to 5 or more"


def _found(row: Limited, value: float | None, ends: Interval | None) -> str:
    if value is None:
        return "not measured"
    text = shown(value, row.unit)
    if ends is None or ends == NOTHING:
        return text
    return f"{text} ({shown(ends[0], row.unit)} to {shown(ends[1], row.unit)})"


def shown(value: float, unit: str) -> str:
    """A figure in the unit that people write it in."""
    if unit == "bytes":
        return units.size(value)
    if unit == "us":
        return units.microseconds(value)
    if unit == "fraction":
        return units.percent(value, 2).replace("-", "−")
    return units.significant(value).replace("-", "−")
