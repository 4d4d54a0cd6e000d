"""Results in the words of TFLite's `benchmark_model`, for programs that read that tool's output."""

from __future__ import annotations

from collections.abc import Sequence

from edgekd.bench.gather import share_of_all
from edgekd.bench.result import BenchRow
from edgekd.results import Latency

MEGABYTE = 1 << 20


def summary_lines(rows: Sequence[BenchRow]) -> list[str]:
    """The tool's last lines for each row that has times: microseconds, and memory in 2^20 bytes.

    Initialisation and first inference are the medians over the processes, the warm-up is the mean.
    """
    return [line for row in rows if row.latency_us for line in _lines(row, row.latency_us)]


def _lines(row: BenchRow, times: Latency) -> list[str]:
    runs, load_ms, first_us = row.runs, row.load_ms or 0.0, row.first_us or 0.0
    warmup = sum(process.warmup.mean_us for process in runs) / len(runs)
    init = max(process.rss_load_bytes for process in runs) / MEGABYTE
    low, high = times.min or 0.0, times.max or 0.0
    p5 = share_of_all(row, 0.05)
    p5_told = "" if p5 is None else f"p5={p5:.0f} "
    return [
        f"INFO: Graph: [{row.model}]",
        f"INFO: #threads used for CPU inference: [{row.threads}]",
        f"INFO: The input model file size (MB): {row.bytes / 1e6:.6g}",
        f"INFO: Initialized session in {load_ms:.3f}ms.",
        f"INFO: count={times.n} first={runs[0].ends_us[0]:.0f} curr={runs[-1].ends_us[1]:.0f} "
        f"min={low:.0f} max={high:.0f} avg={times.mean:.6g} std={times.std:.0f} "
        f"{p5_told}median={times.p50:.0f} p95={times.p95 or high:.0f}",
        "",
        f"INFO: Inference timings in us: Init: {load_ms * 1e3:.0f}, "
        f"First inference: {first_us:.0f}, Warmup (avg): {warmup:.6g}, "
        f"Inference (avg): {times.mean:.6g}",
        f"INFO: Memory footprint delta from the start of the tool (MB): init={init:.6g} "
        f"overall={row.rss_growth_bytes / MEGABYTE:.6g}",
    ]
