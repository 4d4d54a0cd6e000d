"""A run against a released one: no worse, as far as the measurements tell."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgekd.config.gate import RegressionSettings
from edgekd.errors import ConfigError
from edgekd.gates.finding import Finding, Outcome, fails, verdict
from edgekd.gates.intervals import Interval, difference, of_score, ratio
from edgekd.gates.judged import Judged
from edgekd.report import units
from edgekd.results import Accuracy, BenchFigures
from edgekd.tasks.names import title


def judge_regression(run: Judged, base: Judged, rules: RegressionSettings) -> list[Finding]:
    """The verdict on every rule.

    Raises:
        ConfigError: the two have nothing to do with each other.
        StageError: a file of one of the run folders is damaged.
    """
    _comparable(run, base)
    found: list[Finding] = []
    if rules.accuracy is not None:
        found.append(_accuracy(run, base, rules.accuracy, rules))
    if rules.size is not None:
        found.append(_size(run, base, rules.size, rules))
    if rules.latency is not None:
        found += _latency(run, base, rules.latency, rules)
    return found


def _comparable(run: Judged, base: Judged) -> None:
    if run.folder.resolve() == base.folder.resolve():
        raise ConfigError(
            "The baseline is the run itself.",
            where=str(run.folder),
            fix="give the folder of the released run: a copy of it, made when it was released",
        )
    pairs: list[tuple[str, object, object]] = []
    if run.file.accuracy and base.file.accuracy:
        pairs.append(("score", run.file.accuracy.metric, base.file.accuracy.metric))
    if run.spec is not None and base.spec is not None:
        pairs += [(n, getattr(run.spec, n), getattr(base.spec, n)) for n in ("task", "labels")]
    if run.data is not None and base.data is not None:
        pairs.append(("data", run.data.name, base.data.name))
    for name, ours, theirs in pairs:
        if ours != theirs:
            raise ConfigError(
                f"The baseline is a run of another kind: its {name} is {_brief(theirs)}, and this "
                f"run's is {_brief(ours)}.",
                where=str(base.folder),
                fix="give the released run of the same task, labels and data",
            )


def _brief(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _finding(
    rule: str, outcome: Outcome, rules: RegressionSettings, found: str, limit: str, note: str = ""
) -> Finding:
    failing = fails(outcome, rules.unverified)
    return Finding("regression", rule, outcome, failing, found, limit, note)


def _accuracy(run: Judged, base: Judged, most: float, rules: RegressionSettings) -> Finding:
    new, old = run.file.accuracy, base.file.accuracy
    metric = new.metric if new else "accuracy"
    name = title(metric)
    limit = f"at most {units.score_change(most, metric).lstrip('+')} less"
    if new is None or old is None:
        side = "this run" if new is None else "the baseline"
        note = f"the file of {side} has no score: it was not benched with the data"
        return _finding(name, "unverified", rules, "not measured", limit, note)
    change = units.score_change(new.value - old.value, metric)
    values = f"{units.score(new.value, metric)} after {units.score(old.value, metric)}"
    if not _data_known(run, base):
        folder = (run if run.data is None else base).folder
        note = f"{folder} keeps no data folder, so that nobody can tell what it was tested on"
        return _finding(name, "unverified", rules, f"{values}, {change}", limit, note)
    if _same_file(run, base):
        return _finding(name, "kept", rules, values, limit, "it is the same file")
    (low, high), note = _drop(run, base, new, old, rules.confidence)
    outcome = verdict(low, high, most)
    ends = [units.score_difference(-end, metric) for end in (high, low)]
    found = f"{values}, {change} ({ends[0]} to {ends[1]})"
    return _finding(name, outcome, rules, found, limit, note)


def _data_known(run: Judged, base: Judged) -> bool:
    """Whether it is known how the test samples of both relate; an entry of a registry has none."""
    both = run.data is not None and base.data is not None
    return both or (run.data_key is not None and run.data_key == base.data_key)


def _same_file(run: Judged, base: Judged) -> bool:
    there = [side.folder / side.file.path for side in (run, base)]
    return all(path.is_file() for path in there) and (
        there[0].read_bytes() == there[1].read_bytes()
    )


def _drop(
    run: Judged, base: Judged, new: Accuracy, old: Accuracy, confidence: float
) -> tuple[Interval, str]:
    """The interval of the baseline's score less the run's, and how it was found.

    The difference is that of the files, as their runtimes scored them. Of the same test samples its
    interval is that of the kept answers, which are PyTorch's, placed around it.
    """
    from edgekd.quality.retention import change

    drop = old.value - new.value
    same = _same_samples(run, base)
    ours, theirs = (run.answers(), base.answers()) if same else (None, None)
    if run.data is not None and ours is not None and theirs is not None:
        y = run.data.test.y
        found = change(theirs, ours, y, run.data.model_spec(""), confidence)
        low, high = drop + found.low - found.value, drop + found.high - found.value
        return (low, high), f"paired by {len(y):,} test samples"
    ends = difference(old.value, of_score(old, confidence), new.value, of_score(new, confidence))
    why = "answers were not kept" if same else "the test samples are others"
    return ends, f"not paired: {why}"


def _same_samples(run: Judged, base: Judged) -> bool:
    """Whether both were tested on the same samples, by their names where the arrays differ.

    A regression's answers are in units of its own training targets; they need the same data.
    """
    import numpy as np

    if run.data is None or base.data is None:
        return run.data_key == base.data_key
    if run.data.fingerprint == base.data.fingerprint:
        return True
    ours, theirs = run.data.test, base.data.test
    if run.data.task == "regression" or ours.ids is None or theirs.ids is None:
        return False
    return np.array_equal(ours.ids, theirs.ids) and np.array_equal(ours.y, theirs.y)


def _size(run: Judged, base: Judged, most: float, rules: RegressionSettings) -> Finding:
    new, old = run.file.bytes, base.file.bytes
    outcome: Outcome = "kept" if new <= old * (1 + most) else "failed"
    found = f"{units.size(new)} after {units.size(old)}, {_percent(new / old - 1)}"
    return _finding("size", outcome, rules, found, f"at most {100 * most:.1f} % more")


def _latency(
    run: Judged, base: Judged, most: float, rules: RegressionSettings
) -> Iterator[Finding]:
    """One finding for every device and thread count that measured the baseline."""
    limit = f"at most {100 * most:.1f} % more"
    rows = [row for row in base.summary.bench if row.model == base.file.path]
    if not rows:
        note = "the baseline was not measured anywhere"
        yield _finding("latency p50", "unverified", rules, "not measured", limit, note)
    for old in rows:
        threads = "1 thread" if old.threads == 1 else f"{old.threads} threads"
        name = f"latency p50 on {old.device}, {threads}"
        new = _counterpart(run, old)
        why = _apart(run, base, new, old)
        if new is None or why:
            yield _finding(name, "unverified", rules, "not comparable", limit, why)
            continue
        centre, (low, high) = ratio(new, old, rules.confidence)
        values = f"{units.microseconds(new.p50_us)} after {units.microseconds(old.p50_us)}"
        known = high < math.inf
        ends = f" ({_percent(low - 1)} to {_percent(high - 1)})" if known else ""
        found = f"{values}, {_percent(centre - 1)}{ends}"
        outcome = verdict(low - 1, high - 1, most)
        yield _finding(name, outcome, rules, found, limit, _doubt(new, old))


def _counterpart(run: Judged, old: BenchFigures) -> BenchFigures | None:
    place = (run.file.path, old.device, old.runtime, old.threads)
    rows = run.summary.bench
    return next((r for r in rows if (r.model, r.device, r.runtime, r.threads) == place), None)


def _apart(run: Judged, base: Judged, new: BenchFigures | None, old: BenchFigures) -> str:
    """Why two measurements cannot be held against each other; "" where they can."""
    if new is None:
        return f"this run gave no figures there: {old.device} with {old.threads} threads"
    if new.latency_us is None or old.latency_us is None:
        return f"{old.device} is emulated, and has no times of its own"
    here, there = run.summary.machine, base.summary.machine
    same = (here.processor, here.cores, here.instructions) == (
        there.processor,
        there.cores,
        there.instructions,
    )
    if old.device == "local" and not same:
        return (
            f"they ran on different machines: {here.processor}, {here.cores} cores, and "
            f"{there.processor}, {there.cores} cores"
        )
    return ""


def _doubt(new: BenchFigures, old: BenchFigures) -> str:
    """What a reader of the verdict should know."""
    if min(new.processes, old.processes) < 2:
        return "one process tells nothing about how starts differ: set bench.processes to 5 or more"
    disturbed = [*new.disturbed, *old.disturbed]
    return f"disturbed: {disturbed[0]}" if disturbed else ""


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %".replace("-", "−")
