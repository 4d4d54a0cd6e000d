"""How much faster int8 is in LiteRT: ResNet-8 and MobileNetV2, one thread.

    python -m benchmarks.quantization.speed

Untrained networks for pictures of 32 x 32, calibrated on noise: the weights' values do not change
the time. The float32 and the int8 file are measured in processes that take turns. A network that
stays below the target has its time by operator in the results.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Row, finish, options, started
from edgekd.bench.compare import within
from edgekd.bench.jobs import bench_files
from edgekd.bench.visit import More
from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.config.networks import ModelSettings
from edgekd.config.stages import BenchSettings
from edgekd.export.tflite_file import export_tflite
from edgekd.models.build import build
from edgekd.propose.untrained import uneven
from edgekd.results import OperatorFigures
from edgekd.spec import InputSpec, ModelSpec

NETWORKS = ("resnet8", "mobilenet_v2")
IMAGE = InputSpec(kind="image", shape=(3, 32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
FASTER = 1.5
CONFIDENCE = 0.95
MOST_OPERATORS = 4
"""Kinds of operators that the table names; the results have all."""


def main() -> None:
    """Exports, measures, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--processes", type=int, default=10, help="of each file")
    parser.add_argument("--seconds", type=float, default=20.0, help="of all of them, a file")
    parser.add_argument("--quick", action="store_true", help="a smoke test: ResNet-8 for a moment")
    chosen = parser.parse_args()
    settings = BenchSettings(
        runtimes=("litert",),
        threads=(1,),
        processes=2 if chosen.quick else chosen.processes,
        min_seconds=0.1 if chosen.quick else chosen.seconds,
        min_runs=20,
    )
    start = started()
    with tempfile.TemporaryDirectory() as folder:
        networks = NETWORKS[:1] if chosen.quick else NETWORKS
        files = {name: written(name, Path(folder)) for name in networks}
        figures = {name: measured(paths, settings) for name, paths in files.items()}
    finish(
        "int8 against float32 in LiteRT, one thread",
        start,
        runs=f"{settings.processes} processes of each file, taking turns, "
        f"{settings.min_seconds:g} s together; intervals of {CONFIDENCE:.0%}",
        quick=chosen.quick,
        figures=figures,
        rows=[row for name, figure in figures.items() for row in rows(name, figure)],
        results=chosen.results,
    )


def written(name: str, folder: Path) -> list[Path]:
    """The network's files, int8 first."""
    torch.manual_seed(0)
    model = uneven(build(ModelSettings.model_validate({"name": name}), IMAGE, 10)).eval()
    x = torch.randn(32, *IMAGE.shape)
    prepared = prepare_ptq(model, x[:2])
    calibrate(prepared, x.split(16))
    spec = ModelSpec(name=name, input=IMAGE, labels=tuple("0123456789"))
    paths = [folder / f"{name}-{precision}.tflite" for precision in ("int8", "float32")]
    export_tflite(convert(prepared, fold=False), spec, paths[0], precision="int8")
    export_tflite(model, spec, paths[1], precision="float32")
    return paths


def measured(paths: list[Path], settings: BenchSettings) -> dict[str, Any]:
    """Float32's median time by int8's, and where it stays below the target, where the time goes."""
    result = bench_files(paths, settings)
    (pair,) = within(result, CONFIDENCE)
    times = pair.times
    found: dict[str, Any] = {
        "int8_us": pair.first.p50_us,
        "float32_us": pair.second.p50_us,
        "ratio": times.ratio,
        "low": times.low,
        "high": times.high,
        "disturbed": result.disturbed,
    }
    if times.ratio < FASTER:
        few = settings.model_copy(update={"processes": 1, "min_seconds": 1.0})
        rows = bench_files(paths, few, more=More(profile=paths)).rows
        found["profiles"] = {row.precision: by_operator(row.profile) for row in rows}
    return found


def by_operator(operators: Sequence[OperatorFigures] | None) -> dict[str, float]:
    """Microseconds of an inference by type of operator, the longest first."""
    total: dict[str, float] = {}
    for operator in operators or ():
        total[operator.op] = total.get(operator.op, 0.0) + operator.us
    return dict(sorted(total.items(), key=lambda each: -each[1]))


def rows(name: str, figure: dict[str, Any]) -> list[Row]:
    """A line of the ratio, and one for each profile."""
    between = f"[{figure['low']:.2f}, {figure['high']:.2f}]"
    times = f"{figure['float32_us']:.0f} / {figure['int8_us']:.0f} us"
    found = [
        Row(
            f"{name}: p50 of float32 / int8",
            f"{figure['ratio']:.2f} {between} ({times})",
            "≥ 1.5, or the profile that explains it",
            figure["ratio"] >= FASTER,
        )
    ]
    for precision, operators in figure.get("profiles", {}).items():
        whole = sum(operators.values())
        most = list(operators.items())[:MOST_OPERATORS]
        told = ", ".join(f"{op} {us:.0f} us ({us / whole:.0%})" for op, us in most)
        found.append(Row(f"{name}, {precision}: time by operator", told or "no profile"))
    return found


if __name__ == "__main__":
    main()
