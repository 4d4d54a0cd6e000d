"""Static post-training quantization of an ONNX file by ONNX Runtime's own quantizer.

QDQ form, weights int8 symmetric per channel, activations uint8 per tensor: what ONNX Runtime fuses
into integer kernels on every processor.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import StageError
from edgekd.runtimes.check_onnx import inputs_of

Calibration = Literal["minmax", "entropy", "percentile"]
CALIBRATIONS: tuple[Calibration, ...] = get_args(Calibration)
BATCH = 32
PERCENTILE = 99.99
"""ONNX Runtime's default, and Nvidia's."""
MOST_KEPT = 1 << 30
"""Bytes of activations that the histograms of `entropy` and `percentile` may keep in memory."""
ENDS = ("Softmax", "LogSoftmax", "Sigmoid")
"""At the very end they stay in float: int8 probabilities would have steps of 1/256, of which small
ones would all be 0."""
INTEGER = ("QuantizeLinear", "QLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear")


def already_quantized(model: Any) -> bool:
    """Whether the graph computes in integers."""
    return any(node.op_type.startswith(INTEGER) for node in model.graph.node)


def prepared(path: Path, out: Path) -> Any:
    """Writes the model with its constants folded, its batch norms inside the convolutions and its
    shapes known, and returns it.

    Raises:
        StageError: ONNX Runtime cannot read the graph.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with _quiet():
        try:
            quant_pre_process(str(path), str(out), skip_symbolic_shape=True)
        except Exception as error:  # ONNX Runtime's and onnx's own classes
            raise _failed(error, path) from error
    return onnx.load(str(out))


def quantize(
    path: Path,
    model: Any,
    out: Path,
    x: NDArray[Any],
    calibration: Calibration,
) -> None:
    """Writes the int8 form of a prepared model.

    Args:
        path: the prepared file, and `model` what it holds.
        x: calibration samples as the file takes them.

    Raises:
        StageError: the quantizer fails; says what it said.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    methods = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }
    (source,) = inputs_of(model.graph)
    size = _batch(source)
    if calibration != "minmax":  # ONNX Runtime stacks what it sees for histograms: all alike
        size = next(n for n in range(min(size, len(x)), 0, -1) if len(x) % n == 0)
    reader: Any = _Batches(source.name, x, size)
    with _quiet():
        try:
            quantize_static(
                str(path),
                str(out),
                reader,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=methods[calibration],
                nodes_to_exclude=_last(model.graph),
                extra_options={"CalibPercentile": PERCENTILE},
            )
        except Exception as error:
            raise _failed(error, path) from error


def samples_within(model: Any, calibration: Calibration, wanted: int) -> int:
    """How many samples a calibration may look at: histograms keep every activation of all.

    Activations whose shapes are not known count as nothing.
    """
    if calibration == "minmax":
        return wanted
    per_sample = 0
    for value in model.graph.value_info:
        dims = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
        per_sample += 4 * math.prod(dims[1:])
    return max(1, min(wanted, MOST_KEPT // max(1, per_sample)))


def _batch(source: Any) -> int:
    """Samples at a time: one, where the file's first axis is fixed."""
    return 1 if source.type.tensor_type.shape.dim[0].dim_value else BATCH


def _last(graph: Any) -> list[str]:
    """The name of what makes probabilities of the logits, if that ends the graph."""
    ends = {value.name for value in graph.output}
    return [n.name for n in graph.node if n.op_type in ENDS and ends & set(n.output) and n.name]


class _Batches:
    """What ONNX Runtime calls a CalibrationDataReader."""

    def __init__(self, name: str, x: NDArray[Any], size: int) -> None:
        self.name = name
        self._parts = iter([x[i : i + size] for i in range(0, len(x), size)])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next batch by the input's name, None at the end."""
        part = next(self._parts, None)
        return None if part is None else {self.name: np.ascontiguousarray(part)}

    def set_range(self, start_index: int, end_index: int) -> None:
        """Called for large models; every batch is small already."""

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        while (batch := self.get_next()) is not None:
            yield batch


def _failed(error: Exception, path: Path) -> StageError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return StageError(
        f"ONNX Runtime's quantizer cannot work on this file: {lines[0][:300]}",
        where=str(path),
        fix="check that the file runs (edgekd bench FILE) on samples of this size; if it does, "
        "report it",
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer prints advice and progress for its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
