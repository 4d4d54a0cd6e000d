"""Which operators become int8, and how: the TensorFlow Lite 8-bit quantization specification.

Source: "LiteRT 8-bit quantization specification" (ai.google.dev/edge/litert), whose restrictions
on scales and zero points are the `kind` of each operator here.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Literal

import torch

aten = torch.ops.aten

Kind = Literal["weighted", "compute", "shared", "fixed"]


@dataclass(frozen=True)
class Rule:
    """How one operator is quantized.

    kind:
        weighted: second argument is a weight, int8 symmetric per output channel;
        compute: every tensor has a scale of its own;
        shared: inputs and output have one scale;
        fixed: the output has the scale and zero point that the specification says.
    fuses: a clamp after it is part of the operator, so that only the clamp's output is observed.
    axis: of a weight's output channels.
    output: scale and zero point of a fixed output.
    kernels: whether a runtime computes it in int8; where none does, users are told.
    """

    kind: Kind
    fuses: bool = False
    axis: int = 0
    output: tuple[float, int] = (1 / 256, -128)
    kernels: bool = True


WEIGHTED = Rule("weighted", fuses=True)
TRANSPOSED = Rule("weighted", fuses=True, axis=1, kernels=False)
COMPUTE, FUSING, SHARED = Rule("compute"), Rule("compute", fuses=True), Rule("shared")
UNIT = Rule("fixed")  # 0 to 1

RULES: dict[Any, Rule] = {
    # layers with weights
    aten.conv1d.default: WEIGHTED,
    aten.conv2d.default: WEIGHTED,
    aten.linear.default: WEIGHTED,
    aten.conv_transpose1d.default: TRANSPOSED,
    aten.conv_transpose2d.input: TRANSPOSED,
    aten.embedding.default: SHARED,
    # arithmetic
    aten.add.Tensor: FUSING,
    aten.sub.Tensor: FUSING,
    aten.mul.Tensor: FUSING,
    aten.matmul.default: COMPUTE,
    aten.bmm.default: COMPUTE,
    aten.maximum.default: SHARED,
    aten.minimum.default: SHARED,
    aten.mean.dim: COMPUTE,
    aten.sum.dim_IntList: COMPUTE,
    aten.amax.default: SHARED,
    aten.amin.default: SHARED,
    aten.exp.default: COMPUTE,
    aten.abs.default: COMPUTE,
    # activations
    aten.relu.default: COMPUTE,
    aten.relu6.default: COMPUTE,
    aten.hardtanh.default: COMPUTE,
    aten.clamp.default: COMPUTE,
    aten.leaky_relu.default: COMPUTE,
    aten.gelu.default: COMPUTE,
    aten.sigmoid.default: UNIT,
    aten.softmax.int: UNIT,
    aten.tanh.default: Rule("fixed", output=(1 / 128, 0)),
    # pooling and resizing
    aten.max_pool1d.default: SHARED,
    aten.max_pool2d.default: SHARED,
    aten.avg_pool1d.default: SHARED,
    aten.avg_pool2d.default: SHARED,
    aten.adaptive_avg_pool1d.default: SHARED,
    aten.adaptive_avg_pool2d.default: SHARED,
    aten.upsample_nearest2d.vec: SHARED,
    aten.upsample_bilinear2d.vec: SHARED,
    # values that only move
    aten.cat.default: SHARED,
    aten.pad.default: SHARED,
    aten.constant_pad_nd.default: SHARED,
    aten.slice.Tensor: SHARED,
    aten.select.int: SHARED,
    aten.index_select.default: SHARED,
    aten.expand.default: SHARED,
    aten.repeat.default: SHARED,
    aten.flatten.using_ints: SHARED,
    aten.unflatten.int: SHARED,
    aten.reshape.default: SHARED,
    aten.view.default: SHARED,
    aten.permute.default: SHARED,
    aten.transpose.int: SHARED,
    aten.movedim.int: SHARED,
    aten.movedim.intlist: SHARED,
    aten.squeeze.default: SHARED,
    aten.squeeze.dim: SHARED,
    aten.squeeze.dims: SHARED,
    aten.unsqueeze.default: SHARED,
    aten.pixel_shuffle.default: SHARED,
    aten.contiguous.default: SHARED,
    aten.clone.default: SHARED,
}

TAKES_SCALARS = frozenset({aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor})

CLAMPS = frozenset(
    {aten.relu.default, aten.relu6.default, aten.hardtanh.default, aten.clamp.default}
)
"""Activations that only cut the range: they cost nothing after an operator that `fuses`."""

BATCH_NORM = aten.batch_norm.default
DROPOUTS = frozenset({aten.dropout.default, aten.dropout_.default, aten.feature_dropout.default})

FUNCTIONAL: dict[Any, Any] = {
    aten.relu_.default: aten.relu.default,
    aten.relu6_.default: aten.relu6.default,
    aten.hardtanh_.default: aten.hardtanh.default,
    aten.hardswish_.default: aten.hardswish.default,
    aten.hardsigmoid_.default: aten.hardsigmoid.default,
    aten.leaky_relu_.default: aten.leaky_relu.default,
    aten.elu_.default: aten.elu.default,
    aten.silu_.default: aten.silu.default,
    aten.tanh_.default: aten.tanh.default,
    aten.sigmoid_.default: aten.sigmoid.default,
    aten.clamp_.default: aten.clamp.default,
    aten.add_.Tensor: aten.add.Tensor,
    aten.sub_.Tensor: aten.sub.Tensor,
    aten.mul_.Tensor: aten.mul.Tensor,
    aten.div_.Tensor: aten.div.Tensor,
}
"""In-place operators and what computes the same value; export has renamed all later uses."""

NO_ARITHMETIC = frozenset({aten.detach.default, aten.alias.default, operator.getitem})
"""Not computed in the deployed network."""

SPELLINGS = {
    # Written out in int8 operators, layer norm cost a tiny ViT 12 dB of signal to noise (33 to 21):
    # variances of its tokens differ by more than 8 bits resolve.
    "layer_norm": "a batch norm after a convolution; written out in int8 it loses accuracy",
    "group_norm": "a batch norm after a convolution",
    "instance_norm": "a batch norm after a convolution",
    "batch_norm": "a batch norm right after a convolution or a linear layer",
    "conv_transpose1d": "interpolate, then a convolution",
    "conv_transpose2d": "interpolate, then a convolution",
    "mish": "silu or hardswish",
    "softplus": "relu",
    "celu": "elu",
    "selu": "elu",
    "erf": "gelu",
    "log_softmax": "none at the end of the network, since the loss has its own; or softmax",
    "div": "a product, or a division by a constant",
    "pow": "a product of the tensor with itself",
    "sin": "a table of constants that is added",
    "upsample_bicubic2d": "interpolate(mode='bilinear')",
    "grid_sampler": "interpolate(mode='bilinear')",
    "masked_fill": "a constant that is added",
    "scaled_dot_product_attention": "attention without a mask",
    "max_pool3d": "max_pool2d",
    "conv3d": "conv2d",
}
"""The nearest operators with int8 kernels, by the name of one that has none."""


def operator_name(target: Any) -> str:
    """`gelu` for `aten.gelu.default`."""
    return str(target).removeprefix("aten.").partition(".")[0].rstrip("_")
