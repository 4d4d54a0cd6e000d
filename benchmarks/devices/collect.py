"""Collects the files that `edgekd bench --submit` wrote into a table by model and device.

    python -m benchmarks.devices.collect                  # those in benchmarks/devices/submissions
    python -m benchmarks.devices.collect sent-in.json folder

Each file is read by the schema (`edgekd schema submission`); one that does not keep it is refused
by its name, the others go into the table, and the exit code is 1. The table replaces what is
between the marks in README.md beside this file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import BENCHMARKS
from benchmarks.results_table import replaced
from edgekd.bench.submission import Submission, SubmittedDevice, SubmittedRow, read_submission
from edgekd.bench.table import duration, size
from edgekd.errors import DataError
from edgekd.store import write_atomic

HERE = BENCHMARKS / "devices"
MARK = "devices"
DISTURBED = " †"


@dataclass(frozen=True)
class Line:
    """A measurement with where it was made."""

    device: SubmittedDevice
    row: SubmittedRow
    date: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the files and writes the table. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="*", type=Path, default=[HERE / "submissions"])
    parser.add_argument("--page", type=Path, default=HERE / "README.md")
    chosen = parser.parse_args(arguments)
    found, refused = read_all(files_of(chosen.sources))
    for why in refused:
        print(f"refused: {why}")
    lines = [line for submission in found for line in lines_of(submission)]
    page = chosen.page.read_text(encoding="utf-8")
    write_atomic(chosen.page, replaced(page, MARK, table(lines), chosen.page))
    print(f"{len(lines)} measurements of {len(found)} files in {chosen.page}")
    return 1 if refused else 0


def files_of(sources: Sequence[Path]) -> list[Path]:
    """The .json files that are named, and those of folders, in the order of their names."""
    found: list[Path] = []
    for source in sources:
        found += sorted(source.glob("*.json")) if source.is_dir() else [source]
    return found


def read_all(paths: Sequence[Path]) -> tuple[list[Submission], list[str]]:
    """The submissions, each once, and why others were refused."""
    found: dict[str, Submission] = {}
    refused: list[str] = []
    for path in paths:
        try:
            one = read_submission(path)
        except DataError as error:
            refused.append(f"{path.name}: {error.what} {error.where}")
            continue
        text = one.model_dump_json()
        if text in found:
            refused.append(f"{path.name}: the same was sent in before")
        found.setdefault(text, one)
    return list(found.values()), refused


def lines_of(submission: Submission) -> list[Line]:
    """Its measurements."""
    return [
        Line(machine.device, row, submission.date)
        for machine in submission.measured
        for row in machine.rows
    ]


def table(lines: Sequence[Line]) -> str:
    """Markdown: by model, then by device, the fastest first."""
    if not lines:
        return "Nobody has sent in a file yet."
    head = "| model | device | cores | runtime | threads | p50 | ± 95 % | p90 | memory | accuracy |"
    rows = [head, "| --- " * 10 + "|"]
    order = sorted(lines, key=_order)
    rows += [_cells(line) for line in order]
    if any(line.row.disturbed for line in order):
        rows.append(f"\n{DISTURBED.strip()} other programs, heat or the clock disturbed it.")
    return "\n".join(rows)


def _order(line: Line) -> tuple[str, str, float]:
    return line.row.model, line.row.sha256, line.row.latency_us.p50


def _cells(line: Line) -> str:
    row, device = line.row, line.device
    times = row.latency_us
    known = row.processes > 1 and times.p50_low is not None and times.p50_high is not None
    half = ((times.p50_high or 0) - (times.p50_low or 0)) / 2 / times.p50
    score = "–" if row.accuracy is None else f"{row.accuracy:.3f} {row.metric or ''}".strip()
    cells = (
        f"{row.model} ({size(row.bytes)}, {row.sha256[:8]})",
        device.processor,
        str(device.cores),
        f"{row.runtime} {row.runtime_version}",
        str(row.threads),
        duration(times.p50) + (DISTURBED if row.disturbed else ""),
        f"{half:.1%}" if known else "–",
        "–" if times.p90 is None else duration(times.p90),
        size(row.rss_growth_bytes),
        score,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(main())
