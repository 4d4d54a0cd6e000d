"""kill -9 at random moments of every stage: no finished stage is lost, and no result changes.

    python -m benchmarks.faults.kills --minutes 60

Two undisturbed runs of a pipeline on a few digits say which files and figures a run repeats, and
how long each stage works. Then rounds of the same pipeline in an empty folder: in each stage in
turn, the process is killed at a random part of its time and started again, until the run is whole.
After each kill, every stage that was finished has the bytes that it had, and the next run takes it
as it is. After each round, all that the two undisturbed runs agree on is what this run found.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.common import Row, finish, options, started
from benchmarks.faults.killed import Run, preload, timed, write_data

VARIES = {"seconds", "files", "sum", "processes", "latency", "benchmarks", "key"}
"""Of a manifest: what two runs need not agree on."""


def finished(folder: Path) -> dict[str, str]:
    """By the folder of each finished stage: the SHA-256 of all its files, names and manifest."""
    found = {}
    for manifest in sorted(folder.glob("*/*/manifest.json")):
        if manifest.parent.parent.name == ".work":
            continue
        total = hashlib.sha256()
        for path in sorted(manifest.parent.rglob("*")):
            if path.is_file():
                total.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
                total.update(path.read_bytes())
        found[manifest.parent.name] = total.hexdigest()
    return found


def results(folder: Path) -> dict[str, str]:
    """Each file of each finished stage by its SHA-256, and each figure of its manifest."""
    found = {}
    for path in sorted(folder.glob("*/*-*/**/*")):
        if not path.is_file() or ".work" in path.parts:
            continue
        name = str(path.relative_to(folder))
        if path.name == "manifest.json":
            for field, value in json.loads(path.read_text(encoding="utf-8")).items():
                if field not in VARIES:
                    found[f"{name}:{field}"] = json.dumps(value, sort_keys=True)
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def agreed(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """What two undisturbed runs agree on."""
    return {name: value for name, value in first.items() if second.get(name) == value}


class Kills:
    """What was seen of all rounds. Runs end with the stage `last`; None: with the last one."""

    def __init__(self, work: Path, last: str | None) -> None:
        self.work, self.last = work, last
        work.mkdir(parents=True)
        write_data(work)
        self.seconds, self.bound = timed(work / "whole", last)
        timed(work / "again", last)
        self.expected = agreed(results(work / "whole"), results(work / "again"))
        self.stages: Counter[str] = Counter()
        self.moments: list[dict[str, Any]] = []
        self.rounds = 0
        self.checked = 0
        """Finished stages that were looked at after kills, all of them together."""
        self.lost: list[str] = []
        self.failed: list[str] = []
        self.wrong: list[str] = []

    def round(self, random: Random, each: int, until: float) -> None:
        """A whole run with `each` kills in every stage; no more kills after `until`."""
        folder = self.work / f"round-{self.rounds}"
        shutil.rmtree(folder, ignore_errors=True)
        before: dict[str, str] = {}
        for stage in self.seconds:
            for _ in range(each):
                if time.monotonic() < until:
                    before = self._one(folder, stage, random.random(), before)
        last = Run(folder, self.last, self.bound)
        self._seen(before, folder, last, f"the last run of round {self.rounds}")
        found = results(folder)
        self.wrong += [
            f"round {self.rounds}: {name}"
            for name, value in self.expected.items()
            if found.get(name) != value
        ]
        self.rounds += 1
        shutil.rmtree(folder)

    def _one(self, folder: Path, stage: str, part: float, before: dict[str, str]) -> dict[str, str]:
        """Kills one run in `stage`, or in the next one where that is finished.

        Returns:
            What is finished then.
        """
        order = list(self.seconds)
        wanted = order[order.index(stage) :]
        run = Run(folder, self.last, self.bound)
        while (told := run.next()) is not None:
            if told[0] == "started" and told[1] in wanted:
                break
        else:
            return self._seen(before, folder, run, f"a run that was to be killed in {stage}")
        until = time.monotonic() + part * self.seconds[told[1]]
        while (left := until - time.monotonic()) > 0 and run.process.is_alive():
            run.now(left)
        if run.kill():
            self.stages[run.made[-1]] += 1
            self.moments.append({"stage": run.made[-1], "meant": stage, "part": round(part, 3)})
        elif run.process.exitcode != 0:
            self.failed.append(f"before the kill in {stage}: it ended with {run.process.exitcode}")
        now = finished(folder)
        self._look(before, now, run, f"kill {len(self.moments)}, in {run.made[-1]}")
        return now

    def _seen(self, before: dict[str, str], folder: Path, run: Run, where: str) -> dict[str, str]:
        """Waits for a run's end; what is finished then."""
        if wrong := run.end():
            self.failed.append(f"{where}: {wrong}")
        now = finished(folder)
        self._look(before, now, run, where)
        return now

    def _look(self, before: dict[str, str], now: dict[str, str], run: Run, where: str) -> None:
        """That what was finished before this run is as it was, and was not made again by it."""
        self.checked += len(before)
        for name, known in before.items():
            if now.get(name) != known or name.rpartition("-")[0] in run.made:
                self.lost.append(f"{where}: {name}")


def main() -> None:
    """See the module."""
    parser = options(__doc__, __file__)
    parser.add_argument("--minutes", type=float, default=60.0, help="no kills after that")
    parser.add_argument("--kills", type=int, default=150, help="enough of them")
    parser.add_argument("--each", type=int, default=3, help="kills in each stage of a round")
    parser.add_argument("--until", help="the last stage, for a shorter benchmark of fewer stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="the first stages, one kill each")
    chosen = parser.parse_args()
    start, until = started(), time.monotonic() + 60 * chosen.minutes
    preload(chosen.quick)
    work = chosen.work / "kills"
    shutil.rmtree(work, ignore_errors=True)
    kills = Kills(work, "softlabels" if chosen.quick else chosen.until)
    random, each = Random(chosen.seed), 1 if chosen.quick else chosen.each  # noqa: S311
    while True:
        kills.round(random, each, until)
        _tell(kills, start, chosen.results, chosen.quick)
        if chosen.quick or len(kills.moments) >= chosen.kills or time.monotonic() > until:
            break


def _tell(kills: Kills, start: dict[str, Any], results: Path, quick: bool) -> None:
    """Writes what was found so far."""
    count = len(kills.moments)
    rows = [
        Row("kills", f"{count} in {len(kills.stages)} stages", "≥ 100", count >= 100),
        Row(
            "finished stages lost or changed",
            f"{len(kills.lost)} of {kills.checked:,} looked at after the kills",
            "0",
            not kills.lost,
        ),
        Row("runs that did not go on", str(len(kills.failed)), "0", not kills.failed),
        Row(
            "files and figures other than those of undisturbed runs",
            f"{len(kills.wrong)} of {len(kills.expected) * kills.rounds:,}",
            "0",
            not kills.wrong,
        ),
        *(Row(f"kills in {stage}", str(kills.stages[stage])) for stage in kills.seconds),
    ]
    finish(
        "kill -9 at random moments",
        start,
        runs=f"{kills.rounds} runs, each killed in every stage, against two undisturbed",
        quick=quick,
        figures={
            "seconds": {name: round(value, 2) for name, value in kills.seconds.items()},
            "compared": len(kills.expected),
            "lost": kills.lost,
            "failed": kills.failed,
            "wrong": kills.wrong,
            "kills": kills.moments,
        },
        rows=rows,
        results=results,
    )


if __name__ == "__main__":
    main()
