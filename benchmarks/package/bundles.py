"""What a bundle costs: bytes over the model's own, seconds of `edgekd package`, and whether it is
the same a second time. Of finished runs: `--run runs/digits --run runs/spoken-digits`.

A bundle's size is that of what is handed over: the AAR, the wheel, the npm package, or the Swift
package in a ZIP archive, as registries have it. The time is the wall time of a fresh process that
makes all targets.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import Row, finish, options, started
from benchmarks.spine.wall_time import seconds_of, shown, spread
from edgekd.package.archive import zip_bytes
from edgekd.store import read_json

EDGEKD = [sys.executable, "-c", "from edgekd.cli import main; main()"]
MOST_BYTES, MOST_SECONDS = 30_000, 10.0
ARCHIVES = (".aar", ".whl", ".tgz")
FRAME = ("manifest.json", "MODEL_CARD.md")
"""Beside a bundle, not in it."""


def main() -> None:
    """Measures, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--run", type=Path, action="append", required=True, help="a run folder")
    parser.add_argument("--rounds", type=int, default=3, help="packagings of each run")
    parser.add_argument("--quick", action="store_true", help="a smoke test: two rounds")
    chosen = parser.parse_args()
    rounds = 2 if chosen.quick else max(2, chosen.rounds)
    start = started()
    found = {run.name: packaged(run, rounds) for run in chosen.run}
    rows = [row for name, figures in found.items() for row in rows_of(name, figures)]
    finish(
        "What a bundle costs",
        start,
        runs=f"{rounds} packagings of each of {len(found)} runs",
        quick=chosen.quick,
        figures=found,
        rows=rows,
        results=chosen.results,
    )


def packaged(run: Path, rounds: int) -> dict[str, Any]:
    """All targets of a run, packaged anew in each round, in folders that are removed."""
    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder) / str(number) for number in range(rounds)]
        command = [*EDGEKD, "package", str(run), "--version", "1.0.0", "--out"]
        seconds = [seconds_of([*command, str(out)]) for out in outs]
        contents = [files_of(out) for out in outs]
        over = {
            target.name: size_of(target) - read_json(target / "manifest.json")["model"]["bytes"]
            for target in sorted(outs[0].iterdir())
        }
    same = all(content == contents[0] for content in contents)
    return {"seconds": spread(seconds), "bytes_over_the_model": over, "same_bytes": same}


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file by its path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def size_of(folder: Path) -> int:
    """Bytes of a target's archive, or of one of all its files where there is none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.suffix in ARCHIVES:
            return path.stat().st_size
    beside = [folder / name for name in FRAME]
    kept = {
        str(path.relative_to(folder)): path.read_bytes() for path in files if path not in beside
    }
    return len(zip_bytes(kept))


def rows_of(name: str, figures: dict[str, Any]) -> list[Row]:
    """The table's lines of one run."""
    over = figures["bytes_over_the_model"]
    seconds = figures["seconds"]
    told = ", ".join(f"{target} {size / 1000:.1f} kB" for target, size in over.items())
    return [
        Row(
            f"{name}: a bundle's bytes over the model's own",
            told,
            "≤ 30 kB each",
            max(over.values()) <= MOST_BYTES,
        ),
        Row(
            f"{name}: `edgekd package`, {len(over)} targets",
            shown(seconds, 1),
            "≤ 10 s",
            seconds["max"] <= MOST_SECONDS,
        ),
        Row(
            f"{name}: packaged again",
            "the same bytes" if figures["same_bytes"] else "other bytes",
            "the same bytes",
            figures["same_bytes"],
        ),
    ]


if __name__ == "__main__":
    main()
