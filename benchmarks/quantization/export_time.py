"""How long one export takes: ResNet-20, float32 and int8, ONNX and TFLite.

    python -m benchmarks.quantization.export_time --data fsdd.zip --runs 3

Each run is a process of its own, started cold. edgekd's writes four files of a quantized network;
the other route to TFLite, torch to ONNX to onnx2tf in its environment, writes the float32 and the
integer TFLite file of the same network in float. They take turns. The environment is made before.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, finish, interval, number, options, started
from benchmarks.quantization.trained import Quantized, quantized
from edgekd.environments import environment
from edgekd.models.saved import load

SECONDS = 20.0
SAMPLES = "calibration.npy"
CHILD = "from benchmarks.quantization.export_time import child; child()"


def main() -> None:
    """Times, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="fsdd.zip")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke test: one run of ResNet-8")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    start = started()
    network = "resnet8" if chosen.quick else "resnet20"
    run = quantized(chosen.data, network, 0, runs=chosen.work, quick=True)
    environment("onnx2tf")
    out = chosen.work / "export-time"
    times: dict[str, list[float]] = {"edgekd": [], "onnx2tf": []}
    for number_ in range(1 if chosen.quick else chosen.runs):
        order = list(times) if number_ % 2 == 0 else list(times)[::-1]
        for route in order:
            times[route].append(seconds(route, run, out))
    figures = {route: interval(values) for route, values in times.items()}
    figures["ratio"] = interval([a / b for a, b in zip(*times.values(), strict=True)])
    finish(
        f"One export of {network}",
        start,
        runs=f"{len(times['edgekd'])} of each route, taking turns",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=chosen.results,
    )


def seconds(route: str, run: Quantized, out: Path) -> float:
    """Wall time of a fresh process that exports."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    if route == "edgekd":
        source = run.stage("quantize")
        command = [sys.executable, "-c", "from edgekd.cli import main; main()", "export"]
        command += [str(source), "--output", str(out)]
    else:
        np.save(out / SAMPLES, run.calibration, allow_pickle=False)
        command = [sys.executable, "-c", CHILD, str(run.stage("teacher")), str(out)]
    before = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - before


def child() -> None:
    """The other route, in a process of its own: a saved network's folder, and the folder out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    samples = np.load(chosen.out / SAMPLES, allow_pickle=False)
    by_onnx2tf(chosen.source, samples, chosen.out / "int8.tflite")
    by_onnx2tf(chosen.source, samples, chosen.out / "float32.tflite", precision="float32")


def by_onnx2tf(source: Path, calibration: Any, path: Path, precision: Any = "int8") -> Path:
    """onnx2tf's TFLite file of a saved network, int8 by its own quantization after training."""
    from edgekd.export.onnx2tf_file import export_tflite_by_onnx2tf

    network = load(source)
    export_tflite_by_onnx2tf(
        network.model.eval(), network.spec, path, precision=precision, calibration=calibration
    )
    return path


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table."""
    took = statistics.median(figures["edgekd"]["values"])
    other = statistics.median(figures["onnx2tf"]["values"])
    return [
        Row(
            "edgekd: ONNX and TFLite, float32 and int8, in a cold process",
            f"{took:.1f} s (median)",
            "≤ 20 s on 2 cores",
            took <= SECONDS,
        ),
        Row("onnx2tf: TFLite, float32 and int8, in a cold process", f"{other:.1f} s (median)"),
        Row("edgekd / onnx2tf", number(figures["ratio"])),
    ]


if __name__ == "__main__":
    main()
