"""The runtime that computes: LiteRT for a .tflite model, ONNX Runtime for an .onnx one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .bundle import BundleError

Run = Callable[[dict], np.ndarray]
"""From input tensors by name to the output tensor, with its batch of 1."""


def load(spec: dict[str, Any], content: bytes, threads: int) -> Run:
    """The model in its runtime.

    Raises:
        BundleError: the runtime is not installed, or refuses the model.
    """
    try:
        if spec["model"].endswith(".tflite"):
            return _litert(spec, content, threads)
        return _onnxruntime(spec, content, threads)
    except ImportError as error:
        package = "ai-edge-litert" if spec["model"].endswith(".tflite") else "onnxruntime"
        raise BundleError(f"{package} is not installed here: pip install {package}") from error
    except (ValueError, RuntimeError) as error:
        raise BundleError(f"The runtime cannot load {spec['model']}: {error}") from error


def _litert(spec: dict[str, Any], content: bytes, threads: int) -> Run:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # its name on older boards
        from tflite_runtime.interpreter import Interpreter  # type: ignore[import-not-found]

    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    indices = {told["name"]: told["index"] for told in interpreter.get_input_details()}
    outputs = {told["name"]: told["index"] for told in interpreter.get_output_details()}
    answer = outputs[spec["output"]["name"]]

    def run(tensors: dict) -> np.ndarray:
        for name, values in tensors.items():
            interpreter.set_tensor(indices[name], values)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(answer))

    return run


def _onnxruntime(spec: dict[str, Any], content: bytes, threads: int) -> Run:
    import onnxruntime

    # Without VNNI, x86-64 saturates int8 sums unless it is asked not to; a file whose weights share
    # a zero point cannot be loaded so, and is loaded plainly.
    answer = spec["output"]["name"]
    problem: Exception | None = None
    for precise in ("1", "0"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4 if precise == "1" else 3
        options.add_session_config_entry("session.x64quantprecision", precise)
        try:
            session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            return lambda tensors: np.asarray(session.run([answer], tensors)[0])
        except Exception as error:  # its classes share no public base
            problem = error
    raise RuntimeError(str(problem)[:400]) from problem
