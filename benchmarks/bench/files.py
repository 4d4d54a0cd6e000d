"""Models that the benchmarks of benchmarking measure, made from nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edgekd.bench.jobs import bench_files
from edgekd.config.networks import ModelSettings
from edgekd.config.stages import BenchSettings
from edgekd.export.onnx_file import export_onnx
from edgekd.export.tflite_file import export_tflite
from edgekd.spec import InputSpec, ModelSpec

WIDTH = 128
"""Features of a layer of a chain."""
EXPORT = {"onnx": export_onnx, "tflite": export_tflite}


def chain(folder: Path, form: str, layers: int) -> Path:
    """A float32 file of `layers` equal layers one after the other: its time is theirs, and what
    the runtime takes around them.
    """
    torch.manual_seed(0)
    parts = [part for _ in range(layers) for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
    network = nn.Sequential(*parts, nn.Linear(WIDTH, 2)).eval()
    spec = ModelSpec(
        name="chain",
        input=InputSpec(kind="row", shape=(WIDTH,), mean=(0.0,) * WIDTH, std=(1.0,) * WIDTH),
        labels=("a", "b"),
    )
    path = folder / f"chain{layers}.{form}"
    EXPORT[form](network, spec, path, precision="float32")
    return path


def resnet8_int8(folder: Path, form: str) -> Path:
    """An untrained ResNet-8 for pictures of 32 x 32, calibrated on noise: the weights' values do
    not change the time.
    """
    from edgekd.compress.quantize import calibrate, convert, prepare_qat
    from edgekd.models.build import build

    torch.manual_seed(0)
    shape = InputSpec(kind="image", shape=(3, 32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
    network = build(ModelSettings(name="resnet8"), shape, 10)
    x = torch.randn(32, *shape.shape)
    prepared = prepare_qat(network, x[:4])
    calibrate(prepared, x.split(16))
    spec = ModelSpec(name="resnet8", input=shape, labels=tuple("0123456789"))
    path = folder / f"resnet8-int8.{form}"
    converted = convert(prepared, fold=form == "onnx")
    EXPORT[form](converted, spec, path, precision="int8")
    return path


def layers_for(folder: Path, form: str, microseconds: float, probe: int = 20) -> int:
    """About how many layers of a chain take so long on this machine, on one thread."""
    path = chain(folder, form, probe)
    settings = BenchSettings(threads=(1,), min_seconds=0.5, processes=2)
    (row,) = bench_files([path], settings).rows
    return max(1, round(probe * microseconds / row.latency_us.p50))
