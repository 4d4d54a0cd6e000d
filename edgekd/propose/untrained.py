"""What a network costs as a deployed file, whatever its weights: written, and timed.

Size and time of a file do not depend on the values of the weights, as long as no two arrays are
alike (a file holds those once), so an untrained network, or one that was just pruned, has the file
of the trained one.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.config.budget import LatencyBudget
from edgekd.config.pipeline import RUNTIME_OF
from edgekd.config.stages import BenchSettings
from edgekd.errors import ConfigError
from edgekd.results import Latency

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset
    from edgekd.export.deployed import Precision

CALIBRATION = 16
"""Samples whose ranges are observed."""
Format = Literal["onnx", "tflite"]


def bytes_of(
    network: nn.Module,
    data: Dataset,
    form: Format,
    precision: Precision,
    keep_float: Sequence[str] = (),
) -> int:
    """The size of the network's file.

    Args:
        keep_float: layers that stay float in an int8 file.

    Raises:
        StageError: the format cannot express the network.
    """
    with _written(network, data, form, precision, keep_float) as path:
        return path.stat().st_size


def latency_of(
    network: nn.Module,
    data: Dataset,
    form: Format,
    precision: Precision,
    keep_float: Sequence[str] = (),
) -> float:
    """The median time of a sample on this machine with one thread, in microseconds.

    Args:
        keep_float: layers that stay float in an int8 file.

    Raises:
        StageError: the format cannot express the network.
    """
    with _written(network, data, form, precision, keep_float) as path:
        return time_file(path, precision, LatencyBudget()).p50


@contextmanager
def _written(
    network: nn.Module,
    data: Dataset,
    form: Format,
    precision: Precision,
    keep_float: Sequence[str],
) -> Iterator[Path]:
    """The network's file, for as long as it is looked at."""
    with tempfile.TemporaryDirectory(prefix="edgekd-untrained-") as folder:
        yield write_file(network, data, Path(folder), form, precision, keep_float)


def write_file(
    network: nn.Module,
    data: Dataset,
    folder: Path,
    form: Format,
    precision: Precision,
    keep_float: Sequence[str] = (),
) -> Path:
    """Exports a copy of the network with uneven weights, int8 by calibration."""
    from edgekd.export.onnx_file import export_onnx
    from edgekd.export.tflite_file import export_tflite

    network = uneven(network).eval()
    if precision == "int8":
        network = _quantized(network, data, keep_float, fold=form == "onnx")
    path = folder / f"candidate.{form}"
    write = export_onnx if form == "onnx" else export_tflite
    write(network, data.model_spec("candidate"), path, precision=precision)
    return path


def time_file(path: Path, precision: str, limit: LatencyBudget) -> Latency:
    """The time of a file where `limit` wants it, measured as the bench stage does.

    Raises:
        ConfigError: the device is emulated, and has no times.
    """
    from edgekd.bench.jobs import BenchModel, measure

    form = path.suffix.lstrip(".")
    model = BenchModel(path=path, stage="", seed=0, precision=precision, format=form)
    runtime: Any = RUNTIME_OF[form]
    settings = BenchSettings(
        devices=(limit.device,), runtimes=(runtime,), threads=(limit.threads,), quick=True
    )
    (row,) = measure([model], settings, run_folder=path.parent)
    if row.latency_us is None:
        raise ConfigError(
            "Networks cannot be chosen by their time on an emulated device: it has none.",
            where=limit.device,
            fix="name a device that measures times, such as local",
        )
    return row.latency_us


def uneven(network: nn.Module) -> nn.Module:
    """A copy in which no two normalisations or biases are alike, as after training."""
    import torch

    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim <= 1:
                noise = torch.rand(parameter.shape, generator=generator)
                parameter.add_(0.1 * noise.to(parameter.dtype))
    return network


def _quantized(
    network: nn.Module, data: Dataset, keep_float: Sequence[str], *, fold: bool
) -> nn.Module:
    import numpy as np

    from edgekd import inputs
    from edgekd.compress.quantize import calibrate, convert, prepare_ptq

    raw = inputs.apply(np.asarray, inputs.take(data.train.x, slice(0, CALIBRATION)))
    samples = inputs.tensors(data.spec.normalise(raw))
    prepared = prepare_ptq(network, inputs.take(samples, slice(0, 4)), keep_float=keep_float)
    calibrate(prepared, [samples])
    return convert(prepared, fold=fold)
