"""Fake quantizers and how they find their ranges: what int8 step and zero point a tensor gets."""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch
from torch import Tensor, nn
from torchao.quantization.pt2e import (
    FakeQuantize,
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
)
from torchao.quantization.pt2e.quantizer import FixedQParamsQuantizationSpec, QuantizationSpec

from edgekd.compress.recipe import Recipe

LEAST_STEP = 2**-12
"""Of an activation, so that a tensor that is zero has a scale, too."""
BULK, MOST_VALUES = 0.95, 2**16
"""What `ActivationQuantizer.bulk` calls most, and how many values of a batch it looks at."""
PERCENTILE = 99.99
"""Share of the values, in percent, that the range `percentile` covers."""


class CurrentRangePerChannelObserver(PerChannelMinMaxObserver):
    """Range of the tensor as it is now, per output channel, without memory.

    A weight is known exactly at every step, so an average over steps would only lag behind it.
    """

    def forward(self, x_orig: Tensor) -> Tensor:
        """Forgets the old range, then observes `x_orig` (O, ...)."""
        self.reset_min_max_vals()
        return super().forward(x_orig)


class PercentileObserver(HistogramObserver):
    """The range between the two percentiles that leave out (100 - `PERCENTILE`) / 2 each."""

    def _non_linear_param_search(self) -> tuple[Tensor, Tensor]:
        width = (self.max_val - self.min_val) / self.bins
        share = torch.cumsum(self.histogram, 0) / self.histogram.sum()
        tail = (1 - PERCENTILE / 100) / 2
        low = int((share <= tail).sum())  # bins that are left out
        high = int((share < 1 - tail).sum()) + 1
        return self.min_val + width * low, self.min_val + width * min(high, self.bins)


class ActivationQuantizer(FakeQuantize):
    """Fake quantizer of an activation; while it only observes, its scale is computed at the end."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.forget()

    def forget(self) -> None:
        """Forgets what `bulk` and `finite` know."""
        self.finite = True
        """Whether every value that was observed is a number."""
        self._bulk: list[float] = []

    def forward(self, X: Tensor) -> Tensor:
        """X of any shape to the same."""
        if self.observer_enabled[0] == 0 or self.fake_quant_enabled[0] == 1:
            return super().forward(X)
        if not bool(torch.isfinite(X).all()):
            self.finite = False
            return X
        seen = X.detach()
        self.activation_post_process(seen)
        some = seen.flatten()[:: max(1, seen.numel() // MOST_VALUES)]
        some = some[some != 0].abs()
        if len(some):
            self._bulk.append(float(some.quantile(BULK)))
        return X

    def settle(self) -> None:
        """Takes scale and zero point from what was observed."""
        scale, zero_point = self.calculate_qparams()
        self.scale.resize_(scale.shape).copy_(scale)
        self.zero_point.resize_(zero_point.shape).copy_(zero_point)

    def bulk(self) -> float:
        """Size that most observed values, zeros aside, do not exceed: the median of the batches, in
        steps."""
        return statistics.median(self._bulk) / float(self.scale) if self._bulk else math.inf


def learned_step(x: Tensor, step: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
    """Fake quantization whose step learns: Esser et al. 2020 (arXiv:1902.08153), equations 1 to 3.

    The step's gradient is round(x / s) - x / s inside of the range and the clipped integer outside,
    times 1 / sqrt(N Q_P) (section 2.2), N the numbers of a sample. What differs: integers are
    relative to a zero point, which stays; Q_P is then the larger end of the range.

    Args:
        x: (N, ...).
        step: s, a positive scalar tensor.
        zero_point: integer that stands for 0.
        low: smallest integer, such as -128.
        high: largest integer.
    """
    least, most = low - zero_point, high - zero_point
    largest = torch.maximum(-least, most).to(x.dtype)
    gradient = (x.numel() / max(len(x), 1) * largest) ** -0.5
    s = (step - step * gradient).detach() + step * gradient
    clipped = torch.clamp(x / s, least.to(x.dtype), most.to(x.dtype))
    return ((torch.round(clipped) - clipped).detach() + clipped) * s


class LearnedStep(ActivationQuantizer):
    """An activation's fake quantizer whose step learns; calibration gives its start.

    What learns is a factor of that start, so that a learning rate means the same to every layer.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.factor = nn.Parameter(torch.ones(1))

    def step(self) -> Tensor:
        """The step as it is now, (1,)."""
        return (self.scale * self.factor).clamp_min(LEAST_STEP)

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """The learned step and the zero point of the calibration."""
        return self.step().detach(), self.zero_point

    def forward(self, X: Tensor) -> Tensor:
        """X of any shape to the same."""
        if self.fake_quant_enabled[0] == 0:
            return super().forward(X)
        return learned_step(X, self.step(), self.zero_point, self.quant_min, self.quant_max)

    def settle(self) -> None:
        """Starts from the range that was observed."""
        scale, zero_point = super().calculate_qparams()
        self.scale.copy_(scale)
        self.zero_point.copy_(zero_point)
        nn.init.ones_(self.factor)


OBSERVERS: dict[str, Any] = {
    "min_max": MinMaxObserver,
    "moving_average": MovingAverageMinMaxObserver.with_args(averaging_constant=0.01),
    "mse": HistogramObserver,
    "percentile": PercentileObserver,
    "learned": MovingAverageMinMaxObserver.with_args(averaging_constant=0.01),
}
"""What finds an activation's range, by `Recipe.ranges`."""


def weight_spec(recipe: Recipe, axis: int) -> QuantizationSpec:
    """Symmetric int8 per output channel (`axis`), -127 to 127, or -63 to 63 of 7 bits."""
    largest = 2 ** (recipe.weight_bits - 1) - 1
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-largest,
        quant_max=largest,
        qscheme=torch.per_channel_symmetric,
        ch_axis=axis,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(
            observer=CurrentRangePerChannelObserver, ch_axis=axis, eps=2**-16
        ),
    )


def activation_spec(recipe: Recipe) -> QuantizationSpec:
    """Int8, asymmetric, per tensor, -128 to 127, with the range that the recipe asks for."""
    quantizer = LearnedStep if recipe.ranges == "learned" else ActivationQuantizer
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=quantizer.with_args(
            observer=OBSERVERS[recipe.ranges], eps=LEAST_STEP
        ),
    )


def fixed_spec(scale: float, zero_point: int) -> FixedQParamsQuantizationSpec:
    """Int8 with a scale and a zero point that nothing needs to be observed for."""
    return FixedQParamsQuantizationSpec(
        dtype=torch.int8,
        scale=scale,
        zero_point=zero_point,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
    )
