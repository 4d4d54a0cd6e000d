"""Which operators become int8, and how: the TensorFlow Lite 8-bit quantization specification.

Source: "LiteRT 8-bit quantization specification" (ai.google.dev/edge/litert), whose restrictions
on scales and zero points are the `kind` of each operator here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

aten = torch.ops.aten

Kind = Literal["weighted", "compute", "shared", "fixed"]


@dataclass(frozen=True)
class Rule:
    """How one operator is quantized.

    kind:
        weighted: second argument is a weight, int8 symmetric per output channel (axis 0);
        compute: every tensor has a scale of its own;
        shared: inputs and output have one scale;
        fixed: the output's scale is 1/256 and its zero point -128 (its range is 0 to 1).
    fuses: a clamp after it is part of the operator, so that only the clamp's output is observed.
    """

    kind: Kind
    fuses: bool = False


RULES: dict[Any, Rule] = {
    aten.conv1d.default: Rule("weighted", fuses=True),
    aten.conv2d.default: Rule("weighted", fuses=True),
    aten.linear.default: Rule("weighted", fuses=True),
    aten.add.Tensor: Rule("compute", fuses=True),
    aten.sub.Tensor: Rule("compute", fuses=True),
    aten.mul.Tensor: Rule("compute", fuses=True),
    aten.mean.dim: Rule("compute"),
    aten.relu.default: Rule("compute"),
    aten.relu6.default: Rule("compute"),
    aten.hardtanh.default: Rule("compute"),
    aten.clamp.default: Rule("compute"),
    aten.leaky_relu.default: Rule("compute"),
    aten.max_pool2d.default: Rule("shared"),
    aten.avg_pool2d.default: Rule("shared"),
    aten.adaptive_avg_pool2d.default: Rule("shared"),
    aten.embedding.default: Rule("shared"),
    aten.cat.default: Rule("shared"),
    aten.pad.default: Rule("shared"),
    aten.constant_pad_nd.default: Rule("shared"),
    aten.slice.Tensor: Rule("shared"),
    aten.flatten.using_ints: Rule("shared"),
    aten.reshape.default: Rule("shared"),
    aten.view.default: Rule("shared"),
    aten.permute.default: Rule("shared"),
    aten.transpose.int: Rule("shared"),
    aten.squeeze.dim: Rule("shared"),
    aten.squeeze.dims: Rule("shared"),
    aten.unsqueeze.default: Rule("shared"),
    aten.contiguous.default: Rule("shared"),
    aten.sigmoid.default: Rule("fixed"),
    aten.softmax.int: Rule("fixed"),
}

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
    aten.sigmoid_.default: aten.sigmoid.default,
    aten.clamp_.default: aten.clamp.default,
    aten.add_.Tensor: aten.add.Tensor,
    aten.sub_.Tensor: aten.sub.Tensor,
    aten.mul_.Tensor: aten.mul.Tensor,
}
"""In-place operators and what computes the same value; export has renamed all later uses."""
