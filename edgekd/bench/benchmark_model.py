"""Results in the words of TFLite's `benchmark_model`, for programs that read that tool's output."""

from __future__ import annotations

from collections.abc import Sequence

from edgekd.bench.gather import share_of_all
from edgekd.bench.result import BenchRow

MEGABYTE = 1 << 20


def summary_lines(rows: Sequence[BenchRow]) -> list[str]:
    """The tool's last lines for each row: times in microseconds, memory in 2^20 bytes.

    Initialisation and first inference are the medians over the processes, the warm-up is the mean.
    """
    return [line for row in rows for line in _lines(row)]


def _lines(row: BenchRow) -> list[str]:
    times, runs = row.latency_us, row.runs
    warmup = sum(process.warmup.mean_us for process in runs) / len(runs)
    init = max(process.rss_load_bytes for process in runs) / MEGABYTE
    low, high = times.min or 0.0, times.max or 0.0
    return [
        f"INFO: Graph: [{row.model}]",
        f"INFO: #threads used for CPU inference: [{row.threads}]",
        f"INFO: The input model file size (MB): {row.bytes / 1e6:.6g}",
        f"INFO: Initialized session in {row.load_ms:.3f}ms.",
        f"INFO: count={times.n} first={runs[0].ends_us[0]:.0f} curr={runs[-1].ends_us[1]:.0f} "
        f"min={low:.0f} max={high:.0f} avg={times.mean:.6g} std={times.std:.0f} "
        f"p5={share_of_all(row, 0.05):.0f} median={times.p50:.0f} p95={times.p95 or high:.0f}",
        "",
        f"INFO: Inference timings in us: Init: {row.load_ms * 1e3:.0f}, "
        f"First inference: {row.first_us:.0f}, Warmup (avg): {warmup:.6g}, "
        f"Inference (avg): {times.mean:.6g}",
        f"INFO: Memory footprint delta from the start of the tool (MB): init={init:.6g} "
        f"overall={row.rss_growth_bytes / MEGABYTE:.6g}",
    ]
