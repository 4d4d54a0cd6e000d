"""`edgekd compress` of a trained ResNet-56 on CIFAR-10 (JPEG): what it reaches in its time.

    python -m benchmarks.data_and_models.compress_resnet56 cifar10-jpeg.zip \\
        --weights resnet56-4bfd9763.safetensors

It is a network that others trained (`published_resnet56.py` says where its weights come from), or
with --teacher one of edgekd's own. The command runs once in its own process, on an empty run
folder, as a user starts it; a second call of the pipeline file that it wrote must find every stage
finished.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Row, finish, options, percent, started

BUDGET = "100 kB, -3 %"
NAME = "compress-resnet56"
MISSED = 3
"""Exit code of a run whose budget is missed."""
QUICK = (
    "--candidates", "1", "--epochs", "1", "--set", "quality=null", "--set", "bench.threads=[1]",
    "--set", "export.formats=[tflite]",
)  # fmt: skip
OVERRUN = 1.1
"""Of the bound: what may come on top is an epoch and a slow end."""


def main() -> None:
    """Runs, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("data", type=Path, help="the .zip of pictures")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--teacher", type=Path, help="a saved model's folder, or an .onnx file")
    given.add_argument("--weights", type=Path, help="what published_resnet56.py wrote")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--budget", default=BUDGET)
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: one candidate, one epoch"
    )
    arguments = parser.parse_args()
    start = started()
    runs = arguments.work / "compress"
    shutil.rmtree(runs / NAME, ignore_errors=True)
    factory = Path(__file__).with_name("published_resnet56.py")
    model = (
        [str(arguments.teacher)]
        if arguments.teacher
        else [f"{factory}:resnet56", "--weights", str(arguments.weights)]
    )
    seconds, code = edgekd(
        "compress", *model, "--data", str(arguments.data), "--budget", arguments.budget,
        "--minutes", str(arguments.minutes), "--name", NAME, "--runs", str(runs),
        *(QUICK if arguments.quick else ()),
    )  # fmt: skip
    if code not in (0, MISSED) or not (runs / NAME / "summary.json").is_file():
        sys.exit(f"edgekd compress ended with exit code {code}")
    again, same = edgekd("run", str(runs / NAME / "pipeline.yaml"), "--runs", str(runs))
    if same != code:
        sys.exit(f"edgekd run of its pipeline file ended with exit code {same}, not {code}")
    figures = read(runs / NAME)
    figures |= {"seconds": seconds, "exit_code": code, "seconds_again": again}
    finish(
        "A trained ResNet-56 compressed",
        start,
        runs=f"1, bound {arguments.minutes:g} min, budget {arguments.budget}",
        quick=arguments.quick,
        figures=figures,
        rows=rows(figures, arguments.minutes),
        results=arguments.results,
    )


def edgekd(*arguments: str) -> tuple[float, int]:
    """Wall seconds and exit code; what it says goes to the terminal."""
    program = "from edgekd.cli import main; main()"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=False)
    return time.perf_counter() - began, done.returncode


def read(folder: Path) -> dict[str, Any]:
    """The run's figures, and which candidates there were."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (student,) = (
        m
        for m in summary["models"]
        if (m["stage"], m["format"], m["precision"]) == ("student", "tflite", "int8")
    )
    teacher = next(m for m in summary["models"] if m["stage"] == "teacher" and m["accuracy"])
    latency = next(b for b in summary["bench"] if b["model"] == student["path"])
    return {
        "teacher": teacher["accuracy"],
        "student": student["accuracy"],
        "bytes": student["bytes"],
        "parameters": [teacher["parameters"], student["parameters"]],
        "p50_us": latency["latency_us"]["p50"],
        "budget": summary["budget"],
        "all_cached": all(stage["cached"] for stage in summary["stages"]),
        "candidates": json.loads((folder / "candidates.json").read_text(encoding="utf-8")),
    }


def rows(figures: dict[str, Any], minutes: float) -> list[Row]:
    """The table."""
    teacher, student = figures["teacher"], figures["student"]
    chosen = figures["candidates"]["winner"]
    found = [
        Row("ResNet-56, test accuracy", shown(teacher)),
        Row(f"student ({chosen}), int8 in LiteRT", shown(student)),
        Row("its latency p50, 1 thread", f"{figures['p50_us'] / 1000:.3f} ms"),
        Row("parameters", " to ".join(f"{n:,}" for n in figures["parameters"])),
    ]
    found += [
        Row(f"budget: {b['name']}", amount(b["value"], b), f"≤ {amount(b['limit'], b)}", b["ok"])
        for b in figures["budget"]
    ]
    taken = figures["seconds"] / 60
    in_time = taken <= minutes * OVERRUN
    found.append(Row("wall time", f"{taken:.1f} min", f"≤ {minutes:g} min + 10 %", in_time))
    again = f"{figures['seconds_again']:.1f} s"
    found.append(Row("its pipeline file again", again, "every stage cached", figures["all_cached"]))
    return found


def shown(accuracy: dict[str, Any]) -> str:
    """An accuracy with its interval."""
    return f"{percent(accuracy['value'])} [{percent(accuracy['low'])}, {percent(accuracy['high'])}]"


def amount(value: float, budget: dict[str, Any]) -> str:
    """A limit or what was reached, in its unit."""
    if budget["unit"] == "bytes":
        return f"{value / 1000:.1f} kB"
    return percent(value) if budget["unit"] == "fraction" else f"{value / 1000:.3f} ms"


if __name__ == "__main__":
    main()
