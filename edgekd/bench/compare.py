"""Two results against each other, file by file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from edgekd.bench.bootstrap import Comparison, compare
from edgekd.bench.result import BenchResult, BenchRow
from edgekd.bench.table import duration
from edgekd.bench.turns import comparable, compare_turns
from edgekd.errors import ConfigError, DataError


@dataclass(frozen=True)
class Pair:
    """Two measurements and what their times say."""

    first: BenchRow
    second: BenchRow
    times: Comparison


def within(result: BenchResult, confidence: float) -> list[Pair]:
    """The first file against every other one of one result, which were measured taking turns."""
    timed = _timed(result.rows)
    names = list(dict.fromkeys(row.model for row in timed))
    if len(names) < 2:
        raise DataError(
            "This result has times of one file, and nothing to compare it with.",
            where=names[0] if names else "",
            fix="measure several at once (edgekd bench A B --json FILE), or give two results",
        )
    pairs = []
    for other in names[1:]:
        for row in (row for row in timed if row.model == other):
            at = [r for r in timed if r.model == names[0] and _place(r) == _place(row)]
            pairs += [Pair(one, row, _times(one, row, confidence, paired=True)) for one in at[:1]]
    return pairs


def between(first: BenchResult, second: BenchResult, confidence: float) -> list[Pair]:
    """The files of one result against those of the same name in another. Where each has one file,
    names do not matter.

    Raises:
        DataError: nothing was measured in both.
    """
    pairs = list(_matched(first.rows, second.rows, confidence))
    if not pairs:
        raise DataError(
            "The two results have no file in common that was measured on the same device with as "
            "many threads.",
            where=f"{_named(first)} and {_named(second)}",
        )
    return pairs


def _matched(
    first: Sequence[BenchRow], second: Sequence[BenchRow], confidence: float
) -> Iterator[Pair]:
    lone = all(len({row.model for row in rows}) == 1 for rows in (first, second))
    for one in _timed(first):
        there = [row for row in _timed(second) if _place(row) == _place(one)]
        same = [row for row in there if row.model == one.model] or [
            row for row in there if lone or PurePath(row.model).name == PurePath(one.model).name
        ]
        if len({row.model for row in same}) > 1:
            raise DataError(
                f"Several files of the second result may be meant by {one.model}.",
                where=", ".join(row.model for row in same),
                fix="measure files of other names, or one at a time",
            )
        if same:
            yield Pair(one, same[0], _times(one, same[0], confidence, paired=False))


def _timed(rows: Sequence[BenchRow]) -> list[BenchRow]:
    return [row for row in rows if row.latency_us is not None]


def _place(row: BenchRow) -> tuple[str, int]:
    return row.device, row.threads


def _named(result: BenchResult) -> str:
    return ", ".join(dict.fromkeys(row.model for row in result.rows))


def _times(one: BenchRow, other: BenchRow, confidence: float, *, paired: bool) -> Comparison:
    turns = (one.blocks_us, other.blocks_us)
    if paired and one.runtime == other.runtime and comparable(*turns):
        return compare_turns(*turns, confidence)
    return compare(one.times(), other.times(), confidence=confidence, paired=paired)


def regressions(pairs: Sequence[Pair], bound: float) -> list[Pair]:
    """Those that are slower, and by more than `bound` (0.05 is 5 %)."""
    return [p for p in pairs if p.times.verdict == "slower" and p.times.ratio > 1 + bound]


def read_share(text: str) -> float:
    """`5%`, `5 %` or `0.05` as 0.05.

    Raises:
        ConfigError: it is none of these.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    if not found:
        raise ConfigError("This is no share.", where=text, fix="write 5% or 0.05")
    return float(found[1]) / (100 if found[2] else 1)


def notes(pairs: Sequence[Pair]) -> list[str]:
    """What a reader of the verdicts should know."""
    found = []
    if any(min(p.first.processes, p.second.processes) < 2 for p in pairs):
        found.append(
            "one process tells nothing about how starts of the program differ, so there is no "
            "interval: measure with --processes 5 or more"
        )
    if any(p.times.pairs == 0 for p in pairs):
        found.append(
            "the two were measured apart: what changed on the machine meanwhile counts as theirs. "
            "Measuring both at once, taking turns, is safer: edgekd bench A B"
        )
    coarse = [p for p in pairs if p.times.pairs > 1 and not p.times.blocks]
    if coarse:
        counts = sorted({p.second.threads for p in coarse})
        found.append(
            f"{' and '.join(str(n) if n else 'WebGPU' for n in counts)} threads: only processes "
            "took turns, so what changed on the machine within seconds is part of the interval. "
            "Files of one runtime take turns of milliseconds on one thread, where edgekd's agent "
            "measures"
        )
    for pair in pairs:
        found += [
            f"{row.model}: {text}" for row in (pair.first, pair.second) for text in row.disturbed
        ]
    return list(dict.fromkeys(found))


def describe(pair: Pair) -> str:
    """One line: the two medians, their ratio with its interval, and the verdict."""
    one, other, times = pair.first, pair.second, pair.times
    names = [row.model.rsplit("/", 1)[-1] for row in (other, one)]
    plural = "" if other.threads == 1 else "s"
    known = times.high < math.inf
    interval = f"[{times.low:.3f}, {times.high:.3f}]" if known else "(no interval)"
    return (
        f"{names[0]} against {names[1]}, {other.threads} thread{plural}: "
        f"{duration(other.p50_us or 0.0)} against {duration(one.p50_us or 0.0)}, "
        f"ratio {times.ratio:.3f} {interval}: {times.verdict}"
    )
