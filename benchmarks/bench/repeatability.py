"""Whether a benchmark says the same again: `edgekd bench` on ResNet-8 int8, with its defaults.

Every run is the command itself, one after the other; the seconds that it takes are stated.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.bench.files import resnet8_int8
from benchmarks.common import Row, finish, options, started
from edgekd.bench.result import BenchResult, read_result

WITHIN, SECONDS = 0.03, 15.0
COMMAND = (sys.executable, "-c", "from edgekd.cli import main; main()", "bench")


def main() -> None:
    """Prints how far the medians lie apart."""
    parser = options(__doc__, __file__)
    parser.add_argument("--runs", type=int, default=10, help="of edgekd bench")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    chosen = parser.parse_args()
    runs = 2 if chosen.quick else chosen.runs
    start, rows, figures = started(), [], {}
    with tempfile.TemporaryDirectory() as folder:
        for form in ("tflite", "onnx"):
            path = resnet8_int8(Path(folder), form)
            found, seconds = [], []
            for _ in range(runs):
                begin = time.perf_counter()
                found.append(once(path, chosen.quick))
                seconds.append(time.perf_counter() - begin)
            rows += judged(found, seconds)
            figures[form] = {
                "p50_us": [{str(r.threads): r.latency_us.p50 for r in f.rows} for f in found],
                "seconds": seconds,
                "disturbed": [f.disturbed for f in found],
            }
    finish(
        "Whether a benchmark says the same again",
        start,
        runs=f"{runs} runs of edgekd bench on ResNet-8 int8 for each format",
        quick=chosen.quick,
        figures=figures,
        rows=rows,
        results=chosen.results,
    )


def once(path: Path, quick: bool) -> BenchResult:
    """The result of the command in a process of its own."""
    out = path.with_suffix(".json")
    short = ["--quick"] if quick else []
    command = [*COMMAND, str(path), *short, "--json", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return read_result(out)


def judged(found: list[BenchResult], seconds: list[float]) -> list[Row]:
    """A row for each thread count, and one for the time."""
    rows = []
    for place, first in enumerate(found[0].rows):
        medians = [result.rows[place].latency_us.p50 for result in found]
        middle = statistics.median(medians)
        low, high = min(medians) / middle - 1, max(medians) / middle - 1
        rows.append(
            Row(
                f"p50 of {len(found)} runs, {first.runtime}, {first.threads} threads",
                f"{low:+.1%} to {high:+.1%} of {middle:.0f} µs",
                "± 3 %",
                max(high, -low) <= WITHIN,
            )
        )
    took = statistics.median(seconds)
    rows.append(
        Row(
            f"edgekd bench with its defaults, {found[0].rows[0].runtime}",
            f"{took:.1f} s",
            "≤ 15 s",
            took <= SECONDS,
        )
    )
    return rows


if __name__ == "__main__":
    main()
