"""How long a user waits: `edgekd run digits` with nothing cached, again, and `edgekd --help`.

Every figure is the wall time of a fresh process. "Nothing cached" means an empty runs folder; the
operating system's file cache is warm after the first round, as it is on a machine in use.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Row, finish, options, started
from edgekd.store import read_json

EDGEKD = [sys.executable, "-c", "from edgekd.cli import main; main()"]
QUICK = [
    "teacher.train.epochs=2",
    "teacher.require.accuracy=0",
    "distill.train.epochs=2",
    "prune.train.epochs=1",
    "quantize.train.epochs=1",
]
BUDGET_MISSED = 3
HELP_RUNS = 10


def main() -> None:
    """Measures, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--rounds", type=int, default=3, help="cold runs, each run again once")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one round, few epochs")
    chosen = parser.parse_args()
    rounds = 1 if chosen.quick else chosen.rounds
    settings = [part for value in QUICK for part in ("--set", value)] if chosen.quick else []

    start = started()
    chosen.work.mkdir(parents=True, exist_ok=True)
    helps = [seconds_of([*EDGEKD, "--help"]) for _ in range(HELP_RUNS)]
    torch_imported = imports_torch([*EDGEKD[1:], "--help"])
    runs = [one_round(chosen.work, settings) for _ in range(rounds)]
    cold = spread([run["cold"] for run in runs])
    again = spread([run["again"] for run in runs])
    help_ = spread(helps)
    made_again = sum(run["stages_made_again"] for run in runs)

    rows = [
        Row(
            "`edgekd run digits`, nothing cached: median wall time",
            shown(cold, 1),
            "≤ 120 s",
            cold["median"] <= 120,
        ),
        Row(
            "the same again",
            f"{shown(again, 2)}; {made_again} stages run",
            "≤ 4 s, no stage runs",
            again["median"] <= 4 and made_again == 0,
        ),
        Row(
            "`edgekd --help`",
            f"{shown(help_, 2)}; torch {'is' if torch_imported else 'not'} imported",
            "≤ 0.3 s, torch not imported",
            help_["median"] <= 0.3 and not torch_imported,
        ),
    ]
    figures = {
        "cold_seconds": cold,
        "again_seconds": again,
        "help_seconds": help_,
        "help_imports_torch": torch_imported,
        "stages_made_again": made_again,
        "stage_seconds": [run["stages"] for run in runs],
        "exit_codes": [run["exit_codes"] for run in runs],
    }
    finish(
        "How long a user waits",
        start,
        runs=f"{rounds} cold runs, {rounds} cached, {HELP_RUNS} of --help",
        quick=chosen.quick,
        figures=figures,
        rows=rows,
        results=chosen.results,
    )


def one_round(work: Path, settings: list[str]) -> dict[str, Any]:
    """A cold run and the same again, in a runs folder of its own, which is removed."""
    folder = Path(tempfile.mkdtemp(prefix="wall-", dir=work))
    command = [*EDGEKD, "run", "digits", *settings, "--runs", str(folder)]
    try:
        cold, first = seconds_and_code(command)
        made = read_json(folder / "digits" / "summary.json")["stages"]
        again, second = seconds_and_code(command)
        stages = read_json(folder / "digits" / "summary.json")["stages"]
    finally:
        shutil.rmtree(folder)
    return {
        "cold": cold,
        "again": again,
        "stages": {stage["name"]: stage["seconds"] for stage in made},
        "stages_made_again": sum(not stage["cached"] for stage in stages),
        "exit_codes": [first, second],
    }


def seconds_of(command: list[str]) -> float:
    """Wall time of a process."""
    return seconds_and_code(command)[0]


def seconds_and_code(command: list[str]) -> tuple[float, int]:
    """Wall time and exit code of a process; a missed budget is a finished run all the same.

    Raises:
        SystemExit: the command failed.
    """
    begin = time.perf_counter()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begin
    if done.returncode not in (0, BUDGET_MISSED):
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return seconds, done.returncode


def imports_torch(arguments: list[str]) -> bool:
    """Whether torch is among what Python tells that it imported."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = [line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()]
    if "edgekd.cli" not in modules:
        raise SystemExit("python -X importtime told nothing of edgekd.cli")
    return "torch" in modules


def spread(seconds: list[float]) -> dict[str, Any]:
    """Least, median and most, with the values themselves."""
    return {
        "min": min(seconds),
        "median": statistics.median(seconds),
        "max": max(seconds),
        "values": seconds,
    }


def shown(figure: dict[str, Any], digits: int) -> str:
    """52.1 s (51.0 to 55.3)."""
    low, middle, high = (f"{figure[name]:.{digits}f}" for name in ("min", "median", "max"))
    return f"{middle} s ({low} to {high})"


if __name__ == "__main__":
    main()
