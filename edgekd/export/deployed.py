"""What every exporter needs: the example input and the spec that goes into the file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.spec import DeployedSpec, InputSpec, ModelSpec, NamedInputs, Precision, Quantization

Format = Literal["onnx", "tflite", "ort"]
Layout = Literal["NCHW", "NHWC", "NF", "NCT"]
Quantizations = Sequence[Quantization | None]
"""One an input, in the order of the spec; None where the file takes float32 or int32."""


def example(spec: ModelSpec, batch: int, module: nn.Module) -> tuple[Tensor, ...]:
    """Normalised inputs (batch, *shape) in a fixed pattern (codes: 0), on the network's device."""
    tensor = next(module.parameters(), torch.zeros(()))

    def one(part: InputSpec) -> Tensor:
        shape = (batch, *part.shape)
        if part.dtype == "int32":
            return torch.zeros(shape, dtype=torch.int32, device=tensor.device)
        return torch.linspace(-1, 1, math.prod(shape), device=tensor.device).reshape(shape)

    return tuple(one(part) for part in spec.input.inputs)


def layout(spec: ModelSpec, format: Format) -> Layout:
    """Where a file of this format has the channels."""
    ranks = {len(part.shape) for part in spec.input.inputs}
    if 3 in ranks:
        return "NHWC" if format == "tflite" else "NCHW"
    return "NCT" if 2 in ranks else "NF"


def _baked_layout(spec: ModelSpec, format: Format) -> Layout:
    """Pixels are NHWC in every format."""
    pixels = any(part.kind == "image" and part.peak for part in spec.input.inputs)
    return "NHWC" if pixels else layout(spec, format)


def deployed(
    spec: ModelSpec,
    format: Format,
    precision: Precision,
    input_quantizations: Quantizations,
    output_quantization: Quantization | None,
    *,
    baked: bool = False,
) -> DeployedSpec:
    """The spec of one exported file."""
    by_name = None
    if isinstance(spec.input, NamedInputs):
        names = (part.name for part in spec.input.inputs)
        by_name = dict(zip(names, input_quantizations, strict=True))
    return DeployedSpec(
        model=spec,
        format=format,
        precision=precision,
        layout=_baked_layout(spec, format) if baked else layout(spec, format),
        preprocess="baked" if baked else "app",
        input_quantization=None if by_name is not None else input_quantizations[0],
        input_quantizations=by_name,
        output_quantization=output_quantization,
    )
