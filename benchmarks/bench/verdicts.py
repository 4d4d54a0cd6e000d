"""Whether verdicts can be believed: a file against itself, and against one 5 % slower.

A/A: the same file under two names, 200 comparisons at 99 %; how often a difference is claimed.
A/B: 40 layers against 42 equal ones, which is 5 % more work; how often the second is called slower.
Both files take turns of milliseconds in the processes of one `edgekd bench`, and the comparisons of
both kinds are mixed, so that both feel the same load. The same is proven on made-up times, without
a machine, in `tests/bench/test_turns.py`.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bench.files import chain
from benchmarks.common import Row, finish, options, started
from edgekd.bench.compare import within
from edgekd.bench.jobs import bench_files
from edgekd.config.stages import BenchSettings

CONFIDENCE = 0.99
SHORT, LONG = 40, 42
CLAIMS, FOUND = 0.025, 0.9
"""At most 5 false claims of 200; at least 9 of 10 found."""


def main() -> None:
    """Prints both rates."""
    parser = options(__doc__, __file__)
    parser.add_argument("--same", type=int, default=200, help="comparisons of a file with itself")
    parser.add_argument("--slower", type=int, default=40, help="with one 5 %% slower")
    parser.add_argument("--processes", type=int, default=4, help="of a file in a comparison")
    parser.add_argument("--seconds", type=float, default=0.4, help="of all of them together")
    parser.add_argument("--format", choices=("tflite", "onnx"), default="tflite")
    parser.add_argument("--cap", type=float, help="minutes: then it ends with what there is")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    chosen = parser.parse_args()
    same, slower = (1, 1) if chosen.quick else (chosen.same, chosen.slower)
    settings = BenchSettings(
        threads=(1,),
        processes=2 if chosen.quick else chosen.processes,
        min_seconds=0.05 if chosen.quick else chosen.seconds,
        min_runs=50,
    )
    start = started()
    with tempfile.TemporaryDirectory() as folder:
        first = chain(Path(folder), chosen.format, SHORT)
        twin = Path(folder) / f"twin.{chosen.format}"
        shutil.copy(first, twin)
        second = chain(Path(folder), chosen.format, LONG)
        equal: list[dict[str, Any]] = []
        unequal: list[dict[str, Any]] = []
        end = time.monotonic() + 60 * (chosen.cap or math.inf)
        for others in mixed(same, slower):
            if equal and unequal and time.monotonic() > end:
                break
            (unequal if others else equal).append(
                verdict(first, second if others else twin, settings)
            )
    same, slower = len(equal), len(unequal)
    claims = sum(v["verdict"] != "no difference shown" for v in equal)
    found = sum(v["verdict"] == "slower" for v in unequal)
    finish(
        f"Whether verdicts can be believed: {chosen.format}",
        start,
        runs=f"{settings.processes} processes of a file and comparison, "
        f"{settings.min_seconds:g} s together, at {CONFIDENCE:.0%}",
        quick=chosen.quick,
        figures={"same": equal, "slower": unequal},
        rows=[
            Row(
                f"the same file twice, {same} comparisons: differences claimed",
                str(claims),
                f"≤ {CLAIMS * same:.0f}",
                claims <= CLAIMS * same,
            ),
            Row(
                f"5 % slower by construction, {slower} tries: found",
                f"{found} ({found / slower:.0%})",
                "≥ 90 %",
                found >= FOUND * slower,
            ),
        ],
        results=chosen.results,
        name=f"verdicts-{chosen.format}",
    )


def mixed(same: int, slower: int) -> list[bool]:
    """The order of the comparisons, evenly mixed: whether each is with a slower file."""
    places = [((i + 0.5) / same, False) for i in range(same)]
    places += [((i + 0.5) / slower, True) for i in range(slower)]
    return [is_slower for _place, is_slower in sorted(places)]


def verdict(first: Path, second: Path, settings: BenchSettings) -> dict[str, Any]:
    """What one benchmark of both says."""
    result = bench_files([first, second], settings)
    (pair,) = within(result, CONFIDENCE)
    times = pair.times
    return {
        "verdict": times.verdict,
        "ratio": times.ratio,
        "low": times.low,
        "high": times.high,
        "disturbed": bool(result.disturbed),
    }


if __name__ == "__main__":
    main()
