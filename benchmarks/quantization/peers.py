"""Other tools' int8 files of the same float network, calibrated with the same samples."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Normalised samples (N, C, H, W)."""


def ai_edge_quantizer(float_file: Path, calibration: Samples, path: Path) -> Path:
    """Google's ai-edge-quantizer: its recipe of int8 weights and activations, static.

    Args:
        float_file: float32 .tflite.
        calibration: samples.
        path: the file to write.
    """
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    runners = Interpreter(model_path=str(float_file)).get_signature_list()
    signature, ends = next(iter(runners.items()))
    name = ends["inputs"][0]
    tool = quantizer.Quantizer(str(float_file), recipe.static_wi8_ai8())
    samples = [{name: channels_last(sample[None])} for sample in calibration]
    with _quiet():
        observed = tool.calibrate({signature: samples})
        result = tool.quantize(observed)
    path.write_bytes(bytes(result.quantized_model))  # type: ignore[arg-type]
    return path


def onnxruntime_static(float_file: Path, calibration: Samples, path: Path) -> Path:
    """ONNX Runtime's `quantize_static`: QDQ, per channel, min-max, after its own pre-processing.

    Args:
        float_file: float32 .onnx.
        calibration: samples.
        path: the file to write.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self, name: str) -> None:
            self.name, self.left = name, iter(calibration)

        def get_next(self) -> dict[str, Any] | None:  # type: ignore[override]
            sample = next(self.left, None)
            return None if sample is None else {self.name: sample[None]}

    import onnx

    prepared = path.with_name(f"{path.stem}-prepared.onnx")
    with _quiet():
        quant_pre_process(str(float_file), str(prepared))
        quantize_static(
            str(prepared),
            str(path),
            Reader(onnx.load(str(prepared)).graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    prepared.unlink()
    return path


def channels_last(x: Samples) -> Samples:
    """(N, C, H, W) to (N, H, W, C), as TFLite files want it."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def tflite_logits(path: Path, x: Samples) -> Samples:
    """What a TFLite file of anybody says to samples, in float whatever its ends are."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (told,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for sample in channels_last(x):
        interpreter.set_tensor(given["index"], _stepped(sample[None], given))
        interpreter.invoke()
        found.append(_valued(interpreter.get_tensor(told["index"])[0], told))
    return np.stack(found)


def onnx_logits(path: Path, x: Samples) -> Samples:
    """What an ONNX file of anybody with float ends says to samples."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    # On x86-64 without VNNI products of uint8 and int8 saturate unless asked for.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    found = [np.asarray(session.run(None, {name: sample[None]})[0]) for sample in x]
    return np.concatenate(found)


def _stepped(x: Samples, end: dict[str, Any]) -> NDArray[Any]:
    scale, zero = end["quantization"]
    if not scale:
        return x
    limits = np.iinfo(end["dtype"])
    return np.clip(np.round(x / scale) + zero, limits.min, limits.max).astype(end["dtype"])


def _valued(x: NDArray[Any], end: dict[str, Any]) -> Samples:
    scale, zero = end["quantization"]
    return x if not scale else ((x.astype(np.float32) - zero) * scale).astype(np.float32)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the tools' progress off the terminal."""
    import logging
    import warnings

    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.setLevel(level)
