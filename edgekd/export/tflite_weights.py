"""Other precisions of a float TFLite file, by Google's ai-edge-quantizer: weights in float16 or
int8, and int16 activations.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import StageError
from edgekd.export.failure import conversion_error

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators whose weights become int8."""
HEADROOM = 4.0
"""Times the range that was observed: what 16 bits can spare, so that no value is cut off that the
samples did not show."""
Feed = Sequence[NDArray[np.generic]]
"""One sample: an array (1, *shape) of each input, in the file's order and layout."""


def to_float16(content: bytes) -> bytes:
    """Stores all weights as float16; each is turned into float32 when the file is loaded."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    def recipe(manager: Any) -> None:
        manager.add_quantization_config(
            regex=".*",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            algorithm_key=AlgorithmName.FLOAT_CASTING,
            op_config=qtyping.OpQuantizationConfig(
                weight_tensor_config=qtyping.TensorQuantizationConfig(
                    num_bits=16, dtype=qtyping.TensorDataType.FLOAT
                ),
                compute_precision=qtyping.ComputePrecision.FLOAT,
                explicit_dequantize=True,
            ),
        )

    return _quantized(content, recipe)


def store_int8(content: bytes) -> bytes:
    """Stores the weights of convolutions and linear layers as int8, one scale per output channel;
    the file computes in float32."""

    def recipe(manager: Any) -> None:
        for name in WEIGHTED:
            manager.add_weight_only_config(regex=".*", operation_name=_operator(name), num_bits=8)

    return _quantized(content, recipe)


def compute_int8(content: bytes) -> bytes:
    """The same weights, multiplied as integers: the kernels round activations to int8 by their own
    range while the file runs."""

    def recipe(manager: Any) -> None:
        for name in WEIGHTED:
            manager.add_dynamic_config(regex=".*", operation_name=_operator(name), num_bits=8)

    return _quantized(content, recipe)


def compute_int16x8(content: bytes, samples: Sequence[Feed]) -> bytes:
    """Int8 weights and int16 activations, symmetric, with ranges that `samples` give; input and
    output stay float32.

    Raises:
        StageError: there is no sample.
    """
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    if not len(samples):
        raise StageError("int16x8 has seen no samples, so that it has no ranges.")

    def recipe(manager: Any) -> None:
        manager.add_static_config(
            regex=".*", operation_name=_operator("*"), activation_num_bits=16, weight_num_bits=8
        )
        for name in ("INPUT", "OUTPUT"):
            manager.add_quantization_config(
                regex=".*",
                operation_name=_operator(name),
                algorithm_key=AlgorithmName.NO_QUANTIZE,
            )

    return _quantized(content, recipe, samples)


def _operator(name: str) -> Any:
    from ai_edge_quantizer import qtyping

    return qtyping.TFLOperationName(name)


def _quantized(content: bytes, recipe: Any, samples: Sequence[Feed] = ()) -> bytes:
    from ai_edge_quantizer.quantizer import Quantizer
    from ai_edge_quantizer.recipe_manager import RecipeManager

    manager = RecipeManager()
    recipe(manager)
    try:
        with _silent():
            quantizer = Quantizer(content, manager.get_quantization_recipe())
            ranges = _ranges(quantizer, content, samples) if quantizer.need_calibration else None
            made = quantizer.quantize(ranges).quantized_model
    except Exception as error:
        raise conversion_error(error, "TFLite") from error
    assert made is not None
    return bytes(made)


def _ranges(quantizer: Any, content: bytes, samples: Sequence[Feed]) -> Any:
    """What the samples showed of every tensor, with headroom."""
    from ai_edge_litert.interpreter import Interpreter

    reader = Interpreter(model_content=content)
    ((signature, ends),) = reader.get_signature_list().items()
    names = ends["inputs"]
    runner = reader.get_signature_runner(signature)
    order = [d["index"] for d in reader.get_input_details()]
    by_index = {d["index"]: name for name, d in runner.get_input_details().items()}
    assert len(names) == len(order)
    feeds = [{by_index[i]: part for i, part in zip(order, s, strict=True)} for s in samples]
    ranges = quantizer.calibrate({signature: feeds})
    return {
        name: {end: HEADROOM * value for end, value in found.items()}
        for name, found in ranges.items()
    }


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The quantizer prints sizes and progress."""
    from edgekd.export.quiet import quiet

    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        yield
