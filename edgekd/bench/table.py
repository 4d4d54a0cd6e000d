"""Measurements as short rows of text, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from edgekd.bench.result import STEPS, BenchRow
from edgekd.results import BenchFigures, Latency
from edgekd.tasks.names import is_share, title

HEADER = (
    *("model", "runtime", "threads", "p50", "± 95 %", "p90", "energy"),
    *("instructions", "memory", "size", "as here", "accuracy"),
)
"""The last column is called by the metric of the rows."""
NONE = "–"
PROFILED = 25
"""Operators that a table shows."""


def format_bench(figures: Sequence[BenchFigures]) -> list[tuple[str, ...]]:
    """`HEADER` and a row for each measurement, without the columns that would be empty; a device
    column where there are several.

    Memory is what loading and running the model added. "as here" counts the answers of another
    device that this machine gives, too. The score has its 95 % interval.
    """
    several = len({row.device for row in figures}) > 1
    metric = next((row.accuracy.metric for row in figures if row.accuracy), "accuracy")
    rows = [(*HEADER[:-1], title(metric), "device"), *((*_row(row), row.device) for row in figures)]
    columns = list(zip(*rows, strict=True))
    kept = [c for c in columns[:-1] if not figures or set(c[1:]) != {NONE}]
    return list(zip(*kept, *([columns[-1]] if several else []), strict=True))


def _row(row: BenchFigures) -> tuple[str, ...]:
    return (
        " ".join(part for part in (row.stage, row.model.rsplit("/", 1)[-1]) if part),
        row.runtime,
        str(row.threads or "WebGPU"),
        NONE if row.latency_us is None else duration(row.latency_us.p50),
        _half(row),
        NONE if row.latency_us is None else _known(row.latency_us.p90),
        NONE if row.energy_uj is None else energy(row.energy_uj),
        NONE if row.instructions is None else number(row.instructions),
        size(row.rss_growth_bytes),
        size(row.bytes),
        _as_here(row),
        share(row),
    )


def _known(us: float | None) -> str:
    return NONE if us is None else duration(us)


def _half(row: BenchFigures) -> str:
    return NONE if row.latency_us is None else _half_of(row.latency_us, row.processes)


def _half_of(times: Latency, processes: int) -> str:
    """Half the interval of the median as a share of it; of one process it says too little."""
    if processes < 2 or times.p50_low is None or times.p50_high is None:
        return NONE
    return f"{(times.p50_high - times.p50_low) / 2 / times.p50:.1%}"


def format_profile(row: BenchRow) -> list[tuple[str, ...]]:
    """A head and a row for each operator, the slowest first with the sum of the shares so far, and
    what is left out of many.
    """
    operators = sorted(row.profile or [], key=lambda operator: -operator.us)
    total = sum(operator.us for operator in operators) or 1.0
    shown = [("operator", "type", "time", "share", "together")]
    so_far = 0.0
    for operator in operators[:PROFILED]:
        so_far += operator.us
        shares = (f"{operator.us / total:.1%}", f"{so_far / total:.1%}")
        shown.append((operator.name, operator.op, duration(operator.us), *shares))
    rest = operators[PROFILED:]
    if rest:
        us = sum(operator.us for operator in rest)
        shown.append((f"{len(rest)} others", "", duration(us), f"{us / total:.1%}", "100.0%"))
    return shown


def format_types(row: BenchRow) -> list[tuple[str, ...]]:
    """A head and a row for each type of operator: how many there are, and their time."""
    types: dict[str, list[float]] = {}
    for operator in row.profile or []:
        types.setdefault(operator.op, []).append(operator.us)
    total = sum(map(sum, types.values())) or 1.0
    found = sorted(types.items(), key=lambda pair: -sum(pair[1]))
    return [
        ("type", "operators", "time", "share"),
        *(
            (op, str(len(us)), duration(sum(us)), f"{sum(us) / total:.1%}")
            for op, us in found
        ),
    ]  # fmt: skip


def describe_stream(row: BenchRow) -> str:
    """One line: how many frames came, and how many were late."""
    found = row.stream
    assert found is not None
    times = found.latency_us
    return (
        f"{row.model}, {row.threads} threads, {found.fps:g} frames a second for "
        f"{found.seconds:.1f} s: {found.missed} of {found.frames} later than "
        f"{found.deadline_ms:g} ms ({found.late:.2%}), p50 {duration(times.p50)}, "
        f"p99 {_known(times.p99)}, computing {found.busy:.0%} of the time"
    )


def describe_raw(row: BenchRow) -> str:
    """One line: the medians from a file's bytes to the answer, together and by step."""
    found = row.raw
    assert found is not None
    whole = found.steps[STEPS[-1]]
    half = _half_of(whole, row.processes)
    interval = "" if half == NONE else f" ± {half}"
    steps = ", ".join(f"{name} {duration(found.steps[name].p50)}" for name in STEPS[:-1])
    return (
        f"{row.model}, {row.threads} threads, end to end from {found.files} {found.kind}: "
        f"{duration(whole.p50)}{interval} ({steps}), {found.right} of {found.files} right"
    )


def duration(us: float) -> str:
    """Microseconds with three digits in a fitting unit: 12.3 µs, 1.24 ms, 2.05 s."""
    return _in_unit(us, (("µs", 1.0), ("ms", 1e3), ("s", 1e6)))


def energy(uj: float) -> str:
    """Microjoules with three digits in a fitting unit: 12.3 µJ, 1.24 mJ, 2.05 J."""
    return _in_unit(uj, (("µJ", 1.0), ("mJ", 1e3), ("J", 1e6)))


def size(count: float) -> str:
    """Bytes with three digits in a fitting unit of 1000: 812 B, 40.3 kB, 1.25 MB."""
    if count < 1000:
        return f"{count:.0f} B"
    return _in_unit(count, (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)))


def number(count: float) -> str:
    """A large number with three digits: 812, 40.3 k, 1.25 M, 12.6 G."""
    if count < 1000:
        return f"{count:.0f}"
    return _in_unit(count, (("k", 1e3), ("M", 1e6), ("G", 1e9)))


def _in_unit(value: float, units: Sequence[tuple[str, float]]) -> str:
    """`value` in the first of `units` in which it is below 1000, or in the last."""
    shown = [(three_digits(value / factor), unit) for unit, factor in units]
    digits, unit = next((pair for pair in shown if float(pair[0]) < 1000), shown[-1])
    return f"{digits} {unit}"


def three_digits(value: float) -> str:
    """A number of 0 or more with three digits, and never with an exponent."""
    for decimals, limit in ((2, 9.995), (1, 99.95)):
        if value < limit:
            return f"{value:.{decimals}f}"
    return f"{value:.0f}"


def _as_here(row: BenchFigures) -> str:
    """Answers that are those of this machine, of all."""
    if row.same_answers is None or row.accuracy is None:
        return NONE
    return f"{row.same_answers:,} of {row.accuracy.n:,}"


def share(row: BenchFigures) -> str:
    """The score with its interval, or a dash."""
    if row.accuracy is None:
        return NONE
    a = row.accuracy
    if not is_share(a.metric):
        return f"{a.value:.3f} [{a.low:.3f}, {a.high:.3f}]"
    return f"{a.value:.1%} [{100 * a.low:.1f}, {100 * a.high:.1f}]"
