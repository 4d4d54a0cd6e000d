"""What TFLite's `benchmark_model` prints, as figures.

The form is that of its README (tensorflow/lite/tools/benchmark) and of its `Stat` classes
(stats_calculator.h): lines of `name=value` pairs in microseconds for the warm-up and for the
measured runs, a summary, memory in units of 2^20 bytes, and tables by operator whose columns are
named in a head. Lines may begin with INFO: or with what a log adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edgekd.devices.answers import ending, tail
from edgekd.errors import StageError

MEGABYTE = 1 << 20
SUMMARY = "Inference timings in us: "
REGULAR = "Operator-wise Profiling Info for Regular Benchmark Runs"
RUN_ORDER = "= Run Order ="
NUMBER = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"


@dataclass(frozen=True)
class Runs:
    """Times of some runs in microseconds, as the tool sums them up."""

    n: int
    first: float
    last: float
    min: float
    max: float
    mean: float
    std: float
    p50: float | None
    """None before TensorFlow 2.15 or so: the tool told no percentiles."""
    p5: float | None
    p95: float | None


@dataclass(frozen=True)
class Operator:
    """A row of the table by operator."""

    name: str
    op: str
    us: float
    """Of one inference: the mean of a call by the calls of an inference."""
    calls: int
    """Of one inference."""


@dataclass(frozen=True)
class Output:
    """What one start of the tool told."""

    init_us: float
    """Reading the file until it can run."""
    first_us: float
    warmup: Runs
    runs: Runs
    init_bytes: int
    """Memory that reading the file added."""
    overall_bytes: int
    """Memory that reading and running it added."""
    peak_bytes: int | None
    """Largest resident memory, where it was asked for."""
    operators: list[Operator]
    """In the order that they ran in; where it was asked for."""


def read_output(text: str, code: int, what: str) -> Output:
    """The figures in what the tool printed.

    Args:
        code: its exit code.
        what: names the job in errors.

    Raises:
        StageError: it failed, or prints in another form.
    """
    text = text.replace("\r\n", "\n")
    before, summary, _after = text.partition(SUMMARY)
    if code or not summary:
        raise _failed(text, code, what)
    counted = [runs for runs in map(_runs, before.splitlines()) if runs]
    times = [
        re.search(rf"{SUMMARY}.*{re.escape(name)}: ({NUMBER})", text)
        for name in ("Init", "First inference")
    ]
    memory = re.search(
        rf"Memory footprint delta from the start of the tool \(MB\): init=({NUMBER}) "
        rf"overall=({NUMBER})",
        text,
    )
    peak = re.search(
        rf"Overall peak memory footprint \(MB\) via periodic monitoring: ({NUMBER})", text
    )
    if len(counted) < 2 or not all(times) or memory is None:
        raise StageError(
            "This benchmark_model answers in a form that is not known.",
            where=f"{what}\n{tail(text)}",
            fix="take one of TensorFlow 2.16 or newer: docs/devices.md says from where",
        )
    init, first = (float(found[1]) for found in times if found)
    return Output(
        init_us=init,
        first_us=first,
        warmup=counted[0],
        runs=counted[-1],
        init_bytes=round(float(memory[1]) * MEGABYTE),
        overall_bytes=round(float(memory[2]) * MEGABYTE),
        peak_bytes=round(float(peak[1]) * MEGABYTE) if peak else None,
        operators=list(_operators(text)),
    )


def _failed(text: str, code: int, what: str) -> StageError:
    said = [line for line in text.splitlines() if "ERROR" in line] or text.splitlines()
    how = ending(128 - code if code > 128 else code)
    return StageError(
        f"benchmark_model gave no times: {how}.", where=f"{what}\n{tail(chr(10).join(said))}"
    )


def _runs(line: str) -> Runs | None:
    """`count=50 first=7 curr=8 min=6 max=9 avg=7.5 std=1 p5=6 median=7 p95=9`; of runs that all
    took as long, or of a single one, `count=10 curr=7(all same)`.
    """
    given = {name: float(value) for name, value in re.findall(rf"\b(\w+)=({NUMBER})", line)}
    if "count" not in given or "curr" not in given:
        return None
    same, alike = given["curr"], "avg" not in given
    first, low, high, mean = (given.get(name, same) for name in ("first", "min", "max", "avg"))
    percentiles = [given.get(name, same if alike else None) for name in ("median", "p5", "p95")]
    std = given.get("std", 0.0)
    return Runs(int(given["count"]), first, same, low, high, mean, std, *percentiles)


def _operators(text: str) -> Iterator[Operator]:
    """The rows of the measured runs' table; the tool also has one of loading the file."""
    regular = text.partition(REGULAR)[2] or text
    lines = regular.partition(RUN_ORDER)[2].splitlines()[1:]
    if not lines:
        return
    head = _cells(lines[0])
    for line in lines[1:]:
        cells = _cells(line)
        if len(cells) != len(head):
            return
        row = dict(zip(head, cells, strict=True))
        calls = max(1, int(row["[times called]"]))  # old ones say 0
        us = 1e3 * float(row["[avg ms]"]) * calls
        yield Operator(row["[Name]"], row["[node type]"], us, calls)


def _cells(line: str) -> list[str]:
    """Of a table, whose columns tabs divide."""
    return [cell.strip() for cell in line.strip().split("\t")]
