"""What the processes of one file found, as one row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.bench.bootstrap import ProcessTimes, median_interval
from edgekd.bench.result import BenchRow, ProcessFigures
from edgekd.errors import StageError
from edgekd.results import Latency

PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
NOT_WHOLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What an answer with other fields, or of other types, makes of the arithmetic."""
STORED = 10
"""Of the agent's 1001 quantiles every tenth is kept."""


def gather(results: Sequence[dict[str, Any]], known: dict[str, Any]) -> BenchRow:
    """A row of the agent's results, one a process, in the order of the rounds.

    Args:
        known: fields of the row that the agent does not know.

    Raises:
        StageError: a result is not whole: a device may answer anything.
    """
    try:
        return _gathered(results, known)
    except NOT_WHOLE as error:
        raise StageError(
            "A benchmark's result is not whole.",
            where=f"{known['model']} on {known['device']}: {type(error).__name__}: {error}"[:300],
            fix="run the same command again",
        ) from error


def _gathered(results: Sequence[dict[str, Any]], known: dict[str, Any]) -> BenchRow:
    first = results[0]
    middle: dict[str, Any] = {
        name: float(np.median([result[name] for result in results]))
        for name in ("load_ms", "first_us")
    }
    energies = [result["energy_uj"] for result in results if result["energy_uj"] is not None]
    return BenchRow(
        **known,
        **middle,
        runtime=first["runtime"],
        runtime_version=first["runtime_version"],
        threads=first["threads"],
        latency_us=latency(results),
        peak_rss_bytes=max(result["peak_rss_bytes"] for result in results),
        rss_growth_bytes=max(result["rss_growth_bytes"] for result in results),
        warnings=_together([result["warnings"] for result in results]),
        disturbed=_together([result["disturbed"] for result in results]),
        processes=len(results),
        energy_uj=float(np.mean(energies)) if energies else None,
        runs=[_process(number, result) for number, result in enumerate(results)],
        stream=first.get("stream"),
    )


def gather_emulated(
    result: dict[str, Any], known: dict[str, Any], notes: Sequence[str] = ()
) -> BenchRow:
    """A row of the agent's result on an emulated device: what its kernels answer, its memory and
    its instructions.

    Nothing of time is taken over, nor what comes from it.

    Args:
        notes: the device's.
    """
    counted = result.get("instructions", [])
    return BenchRow(
        **known,
        latency_us=None,
        load_ms=None,
        first_us=None,
        runtime=result["runtime"],
        runtime_version=result["runtime_version"],
        threads=result["threads"],
        peak_rss_bytes=result["peak_rss_bytes"],
        rss_growth_bytes=result["rss_growth_bytes"],
        warnings=[f"{known['device']} is emulated: it has no times, and its memory is the device's "
                  "and QEMU's", *notes],
        instructions=int(np.median(counted)) if counted else None,
        counted=counted,
        runs=[],
    )  # fmt: skip


def latency(results: Sequence[dict[str, Any]]) -> Latency:
    """The distribution of all runs of all processes; the median with its interval.

    Of several processes, the percentiles are those of their 1001 quantiles, each process weighing
    as many as it ran; mean, deviation, range and counts are exact. Where a process tells no
    quantiles, the median and the 95th percentile are the medians of theirs.
    """
    parts = [result["latency_us"] for result in results]
    times = [
        ProcessTimes(number, part["n"], result["quantiles_us"] or [part["p50"]])
        for number, (result, part) in enumerate(zip(results, parts, strict=True))
    ]
    single = all(result["quantiles_us"] for result in results)
    found: dict[str, Any]
    if len(parts) == 1:
        found = parts[0]
    elif not single:
        found = {**_whole(parts), **{name: _median(parts, name) for name in ("p50", "p95")}}
        found |= {"p90": None, "p99": None}
    else:
        counts = np.array([part["n"] for part in parts], np.float64)
        points, weights = _pooled([result["quantiles_us"] for result in results], counts)
        wanted = np.array(list(PERCENTILES.values())) / 100
        values = _quantiles(points, weights, wanted)
        found = dict(zip(PERCENTILES, map(float, values), strict=True)) | {
            **_whole(parts),
            "mad": float(_quantiles(np.abs(points - values[0]), weights, np.array([0.5]))[0]),
            "outliers": sum(part["outliers"] for part in parts),
        }
    if len(parts) == 1 and not single:  # nothing is known of how its runs differ
        return Latency(**found)
    low, high = median_interval(found["p50"], times)
    return Latency(**found, p50_low=low, p50_high=high)


def _whole(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of all runs of all processes what follows exactly from each process's figures."""
    n = np.array([part["n"] for part in parts], np.float64)
    mean = float((n * np.array([part["mean"] for part in parts])).sum() / n.sum())
    squares = [(p["n"] - 1) * p["std"] ** 2 + p["n"] * (p["mean"] - mean) ** 2 for p in parts]
    return {
        "mean": mean,
        "std": float(np.sqrt(sum(squares) / max(1.0, n.sum() - 1))),
        "min": min(part["min"] for part in parts),
        "max": max(part["max"] for part in parts),
        "n": int(n.sum()),
    }


def _median(parts: Sequence[dict[str, Any]], name: str) -> float | None:
    known = [part[name] for part in parts if part[name] is not None]
    return float(np.median(known)) if known else None


def share_of_all(row: BenchRow, share: float) -> float | None:
    """The time in microseconds below which a share of all runs lies, of their stored quantiles;
    None where there are none.
    """
    if not all(process.quantiles_us for process in row.runs):
        return None
    counts = np.array([process.n for process in row.runs], np.float64)
    points, weights = _pooled([process.quantiles_us for process in row.runs], counts)
    return float(_quantiles(points, weights, np.array([share]))[0])


def _pooled(
    quantiles: Sequence[Sequence[float]], counts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All processes' quantiles, and what each weighs."""
    weights = np.repeat(counts / counts.sum(), [len(values) for values in quantiles])
    return np.concatenate([np.asarray(values, np.float64) for values in quantiles]), weights


def _quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    return np.interp(shares, (sums - weights[order] / 2) / sums[-1], values[order])


def _process(number: int, result: dict[str, Any]) -> ProcessFigures:
    kept = (
        *("load_ms", "first_us", "warmup", "ends_us", "rss_load_bytes", "waited", "energy_uj"),
        *("before", "after", "disturbed"),
    )
    return ProcessFigures(
        round=number,
        n=result["latency_us"]["n"],
        p50=result["latency_us"]["p50"],
        quantiles_us=result["quantiles_us"][::STORED],
        batch=result.get("batch", 1),
        **{name: result[name] for name in kept},
    )


def _together(texts: Sequence[Sequence[str]]) -> list[str]:
    """Each text once. Numbers in it differ from process to process: of texts that are alike but for
    them the first is told, with how many processes say so.
    """
    shapes: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for said in texts:
        for text in said:
            shape = "".join(c for c in text if c not in "0123456789.+-")
            shapes.setdefault(shape, text)
            counts[shape] += 1
    many = len(texts) > 1
    return [
        f"{text} (in {counts[shape]} of {len(texts)} processes)" if many else text
        for shape, text in shapes.items()
    ]
