"""What the benchmarks share: their options, a result's file with the machine, and tables."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgekd.devices.machine import describe_machine
from edgekd.keys import all_versions
from edgekd.results import ModelFigures, Summary
from edgekd.statistics import mean_interval
from edgekd.store import write_json

BENCHMARKS = Path(__file__).resolve().parent
WORK = BENCHMARKS.parent / "runs" / "benchmarks"
"""Runs, converted data and other things that may be thrown away; git ignores it."""


@dataclass(frozen=True)
class Row:
    """A line of a benchmark's table."""

    what: str
    """What was measured."""
    reached: str
    """The figure, with its interval where it has one."""
    target: str = ""
    """What we set out to reach; empty where the figure is only stated."""
    ok: bool | None = None
    """Whether the target is reached; None where there is none, or this run cannot tell."""


def options(description: str | None, script: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has.

    Args:
        script: the benchmark's `__file__`; its results lie in `results` beside it.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", type=Path, default=WORK, help="folder for runs and data")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(script).resolve().parent / "results",
        help="folder for the JSON file",
    )
    return parser


def started() -> dict[str, Any]:
    """When the benchmark began, and how busy the machine was before it: other work makes times
    doubtful, and a reader should see it.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def finish(
    title: str,
    start: dict[str, Any],
    *,
    runs: str,
    quick: bool,
    figures: dict[str, Any],
    rows: Sequence[Row],
    results: Path,
    name: str | None = None,
) -> None:
    """Writes `results/NAME.json`, and prints the table.

    Args:
        title: heading of the table.
        start: what `started` gave.
        runs: how many of what were run, in words.
        quick: whether this was a smoke test, whose figures say nothing: nothing is judged then.
        figures: everything measured, for other programs. What is not finite becomes null.
        name: that of the benchmark's module if left out.
    """
    results.mkdir(parents=True, exist_ok=True)
    rows = [replace(row, ok=None) for row in rows] if quick else rows
    module = _module()
    name = name or module.rpartition(".")[2]
    result = {
        "benchmark": name,
        "title": title,
        "command": shlex.join(["python", "-m", module, *_portable(sys.argv[1:])]),
        **start,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": runs,
        "quick": quick,
        "machine": describe_machine().model_dump(mode="json"),
        "versions": all_versions(),
        "rows": [asdict(row) for row in rows],
        "figures": _finite(figures),
    }
    write_json(results / f"{name}.json", result)
    print(to_markdown(rows))


def _module() -> str:
    """The module that `python -m` runs, such as benchmarks.spine.digits."""
    spec = sys.modules["__main__"].__spec__
    if spec is None:
        raise SystemExit("Run it as a module: python -m benchmarks.FOLDER.NAME")
    return spec.name


def _portable(arguments: Sequence[str]) -> list[str]:
    """Arguments without the folders of this machine."""
    return [Path(a).name if Path(a).is_absolute() else a for a in arguments]


def _finite(value: Any) -> Any:
    """`value` without infinities, which JSON does not have: the interval of a single run."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    verdict = {True: "yes", False: "**no**", None: ""}
    lines = ["| what | reached | target | kept |", "| --- | --- | --- | --- |"]
    lines += [f"| {r.what} | {r.reached} | {r.target} | {verdict[r.ok]} |" for r in rows]
    return "\n".join(lines)


def interval(values: Sequence[float]) -> dict[str, Any]:
    """Mean and 95 % interval of Student's t, with the values themselves."""
    mean, low, high = mean_interval(values)
    return {"mean": mean, "low": low, "high": high, "n": len(values), "values": list(values)}


def percent(share: float) -> str:
    """98.67 %."""
    return f"{100 * share:.2f} %"


def mean_percent(figure: dict[str, Any]) -> str:
    """A mean share with its interval: 98.67 % [98.35, 98.98]."""
    return f"{percent(figure['mean'])} {_between(figure, 100, '.2f')}"


def points(figure: dict[str, Any]) -> str:
    """A difference of shares with its interval: +0.28 points [-0.11, +0.67]."""
    return f"{100 * figure['mean']:+.2f} points {_between(figure, 100, '+.2f')}"


def number(figure: dict[str, Any], form: str = ".3f") -> str:
    """A mean with its interval."""
    return f"{figure['mean']:{form}} {_between(figure, 1, form)}"


def _between(figure: dict[str, Any], factor: float, form: str) -> str:
    low, high = figure["low"], figure["high"]
    if not (math.isfinite(low) and math.isfinite(high)):
        return "(one run: no interval)"
    return f"[{factor * low:{form}}, {factor * high:{form}}]"


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All results of a folder, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


TEACHER = ("teacher", "torch", "float32")
STUDENT = ("student", "tflite", "int8")


def of(summary: Summary, model: tuple[str, str, str]) -> list[ModelFigures]:
    """One kind of model (stage, format, precision), by seed."""
    found = [m for m in summary.models if (m.stage, m.format, m.precision) == model]
    return sorted(found, key=lambda m: m.seed)


def tests(summary: Summary, model: tuple[str, str, str]) -> list[float]:
    """Test accuracy by seed, in the runtime that the format is for."""
    return [m.accuracy.value for m in of(summary, model) if m.accuracy is not None]


def differences(left: list[float], right: list[float]) -> list[float]:
    """left - right, seed by seed."""
    return [a - b for a, b in zip(left, right, strict=True)]
