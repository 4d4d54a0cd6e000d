"""What every exporter needs: the example input and the spec that goes into the file."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.spec import DeployedSpec, ModelSpec, Quantization

Format = Literal["onnx", "tflite"]
Precision = Literal["float32", "int8"]
Layout = Literal["NCHW", "NHWC", "NF"]


def example(spec: ModelSpec, batch: int, module: nn.Module) -> Tensor:
    """Normalised inputs (batch, *shape) of a fixed pattern, on the network's device."""
    tensor = next(module.parameters(), torch.zeros(()))
    count = batch * int(torch.tensor(spec.input.shape).prod())
    return torch.linspace(-1, 1, count, device=tensor.device).reshape(batch, *spec.input.shape)


def layout(spec: ModelSpec, format: Format) -> Layout:
    """Where a file of this format has the channels."""
    if spec.input.kind == "row":
        return "NF"
    return "NCHW" if format == "onnx" else "NHWC"


def deployed(
    spec: ModelSpec,
    format: Format,
    precision: Precision,
    input_quantization: Quantization | None,
    output_quantization: Quantization | None,
) -> DeployedSpec:
    """The spec of one exported file."""
    return DeployedSpec(
        model=spec,
        format=format,
        precision=precision,
        layout=layout(spec, format),
        input_quantization=input_quantization,
        output_quantization=output_quantization,
    )
