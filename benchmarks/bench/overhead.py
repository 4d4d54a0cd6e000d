"""What the harness adds to a time: its median against a bare loop over the same loaded model.

Both run in one process and take turns. The loop knows nothing but the runtime's own call: it takes
the time of 50 calls in a row, and the median of these by 50.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bench.files import chain, layers_for
from benchmarks.common import Row, finish, options, started
from edgekd.agent import agent

SIZE_US = 50.0
"""About the model's latency."""
BLOCK = 50
ALLOWED_US, ALLOWED_SHARE = 2.0, 0.02


def main() -> None:
    """Prints the overhead for both runtimes."""
    parser = options(__doc__, __file__)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    chosen = parser.parse_args()
    rounds = 2 if chosen.quick else chosen.rounds
    start, rows, figures = started(), [], {}
    with tempfile.TemporaryDirectory() as folder:
        for form in ("onnx", "tflite"):
            path = chain(Path(folder), form, layers_for(Path(folder), form, SIZE_US))
            found = compare(path, rounds, 0.02 if chosen.quick else 0.5)
            figures[form] = found
            allowed = max(ALLOWED_US, ALLOWED_SHARE * found["bare_us"])
            rows.append(
                Row(
                    f"p50 of the harness less a bare loop, {found['runtime']}",
                    f"{found['overhead_us']:+.2f} µs of {found['bare_us']:.1f} µs",
                    "≤ 2 µs or 2 %",
                    found["overhead_us"] <= allowed,
                )
            )
    finish(
        "What the harness adds",
        start,
        runs=f"{rounds} turns",
        quick=chosen.quick,
        figures=figures,
        rows=rows,
        results=chosen.results,
    )


def compare(path: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Medians over `rounds` turns of `seconds` each, and the median of their differences."""
    model = agent.load(str(path), 1)
    feeds = agent.random_inputs(model, [])
    job = {"min_seconds": seconds, "min_runs": 100, "warmup_seconds": 0.2}
    harness, bare = [], []
    for _ in range(rounds):
        times = agent.measure(model, feeds, job)["times"]
        harness.append(statistics.median(times.tolist()) / 1e3)
        bare.append(loop(model, seconds))
    gaps = [one - other for one, other in zip(harness, bare, strict=True)]
    return {
        "runtime": model.runtime,
        "harness_us": statistics.median(harness),
        "bare_us": statistics.median(bare),
        "overhead_us": statistics.median(gaps),
        "gaps_us": gaps,
    }


def loop(model: agent.ModelFile, seconds: float) -> float:
    """Microseconds of a call: the model's input is in place, as the harness left it."""
    invoke, found = model.invoke, []
    end = time.perf_counter() + seconds
    while not found or time.perf_counter() < end:
        begin = time.perf_counter_ns()
        for _ in range(BLOCK):
            invoke()
        found.append((time.perf_counter_ns() - begin) / BLOCK / 1e3)
    return statistics.median(found)


if __name__ == "__main__":
    main()
