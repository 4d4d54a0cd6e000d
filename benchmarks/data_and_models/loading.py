"""How long a user waits for the two .zip files of recordings and pictures to be decoded.

Each figure is the time of `load_source` in a fresh process: with an empty cache ("first time"), and
again with the cache that the first left ("cached"). The .zip itself is in the operating system's
file cache. Imports of numpy and of edgekd's settings are left out; those that loading needs, such
as Pillow or scipy, are in.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Row, finish, options, started

FIRST, CACHED = 30.0, 1.0
"""Seconds to reach."""
SOURCES = {
    "fsdd.zip": {
        "source": "audio_folder",
        "label": "^([0-9])_",
        "test_files": r"_[0-4]\.wav$",
    },
    "cifar10-jpeg.zip": {"source": "image_folder", "size": [32, 32]},
}


def main() -> None:
    """Measures, writes and prints; with `--one`, loads one file, for the parent process."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the .zip files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke test: fsdd.zip, once")
    parser.add_argument("--one", help="load this file and print what it took")
    chosen = parser.parse_args()
    if chosen.one is not None:
        print(json.dumps(load(chosen.data, chosen.one)))
        return
    start = started()
    names = list(SOURCES)[: 1 if chosen.quick else None]
    rounds = 1 if chosen.quick else chosen.rounds
    figures = {name: measured(chosen.data, name, rounds) for name in names}
    rows = [row for name in names for row in rows_of(name, figures[name])]
    finish(
        "Decoding and featurising recordings and pictures",
        start,
        runs=f"{rounds} first and {rounds} cached loads of each file, in fresh processes",
        quick=chosen.quick,
        figures=figures,
        rows=rows,
        results=chosen.results,
    )


def load(folder: Path, name: str) -> dict[str, float]:
    """Loads one file in this process."""
    from pydantic import TypeAdapter

    from edgekd.config.data import DataSettings
    from edgekd.data.sources import load_source

    settings = TypeAdapter(DataSettings).validate_python({"path": name, **SOURCES[name]})
    began, used = time.perf_counter(), time.process_time()
    data = load_source(settings, folder.resolve())
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "samples": sum(len(split) for split in data.splits.values()),
    }


def measured(folder: Path, name: str, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """First and cached loads, taking turns."""
    found: dict[str, list[dict[str, Any]]] = {"first": [], "cached": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for taken in found.values():
                command = [sys.executable, "-m", __spec__.name, "--data", str(folder)]
                done = subprocess.run(
                    [*command, "--one", name],
                    env={**os.environ, "EDGEKD_CACHE": cache},
                    stdout=subprocess.PIPE,
                    check=True,
                )
                taken.append(json.loads(done.stdout))
    return found


def rows_of(name: str, found: dict[str, list[dict[str, Any]]]) -> list[Row]:
    """The table's lines of one file."""
    made = []
    for kind, what, limit in (("first", "first time", FIRST), ("cached", "cached", CACHED)):
        seconds = statistics.median(run["seconds"] for run in found[kind])
        used = statistics.median(run["processor_seconds"] for run in found[kind])
        peak = max(run["peak_mb"] for run in found[kind])
        made.append(
            Row(
                f"{name}, {found[kind][0]['samples']:,} samples, {what}",
                f"{seconds:.2f} s (median; processor time {used:.2f} s, peak {peak:,.0f} MB)",
                f"≤ {limit:g} s",
                seconds <= limit,
            )
        )
    return made


if __name__ == "__main__":
    main()
