"""Preprocessing inside the exported graph: raw numbers in, probabilities out.

    pixels (1, H, W, C) uint8 ─▶ x * peak / 255 ─▶ (x - mean) / std ─▶ network ─▶ softmax, sigmoid
    recording (1, samples)    ─▶ log-mel        ─▶       likewise

The same graph in both formats, in float around an int8 network, so an app has nothing to compute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.export.log_mel import LogMel
from edgekd.spec import InputSpec, ModelSpec, NamedInputs

PIXELS = 255.0
PROBABILITIES, VALUES = "probabilities", "values"


class Baked(nn.Module):
    """A network between raw inputs and readable answers.

    Takes, for each input of the spec in its order: of images whose scale is known (`peak`), pixels
    (B, H, W, C) uint8; recordings (B, samples) float32 within -1..1 at the model's rate; of codes,
    int32; of everything else raw numbers (B, *shape) float32. Gives (B, C): probabilities, or a
    regression's targets in raw units.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network, self.spec = network, spec
        self.front = nn.ModuleDict(
            {str(n): LogMel(p.sound) for n, p in enumerate(spec.input.inputs) if p.sound}
        )
        for number, part in enumerate(spec.input.inputs):
            channels = (1, -1) + (1,) * (len(part.shape) - 1)
            for name, values in (("mean", part.mean), ("std", part.std)):
                tensor = torch.tensor(values, dtype=torch.float32).reshape(channels)
                self.register_buffer(f"{name}{number}", tensor)
        for name, values in (("mean", spec.target_mean), ("std", spec.target_std)):
            self.register_buffer(f"target_{name}", torch.tensor(values, dtype=torch.float32))

    def forward(self, *inputs: Tensor) -> Tensor:
        """See the class."""
        parts = zip(self.spec.input.inputs, inputs, strict=True)
        given = [self._normalised(number, *each) for number, each in enumerate(parts)]
        answers = self.network(*given)
        if self.spec.task == "regression":
            return answers * self.target_std + self.target_mean
        if self.spec.task == "multilabel":
            return torch.sigmoid(answers)
        return torch.softmax(answers, 1)

    def _normalised(self, number: int, part: InputSpec, x: Tensor) -> Tensor:
        if part.kind == "codes":
            return x
        if part.sound is not None:
            x = self.front[str(number)](x)
        if is_pixels(part):
            assert part.peak is not None
            x = x.permute(0, 3, 1, 2).to(torch.float32)
            x = x if part.peak == PIXELS else x * (part.peak / PIXELS)
        mean, std = getattr(self, f"mean{number}"), getattr(self, f"std{number}")
        return (x - mean) / std


def is_pixels(part: InputSpec) -> bool:
    """Whether a baked file takes this input as 8-bit pixels."""
    return part.kind == "image" and bool(part.peak)


def baked_spec(spec: ModelSpec) -> ModelSpec:
    """The spec of the baked file: its output has another name."""
    return spec.model_copy(
        update={"output": VALUES if spec.task == "regression" else PROBABILITIES}
    )


def raw_example(spec: ModelSpec, batch: int) -> tuple[Tensor, ...]:
    """Raw inputs in a fixed pattern."""

    def one(part: InputSpec) -> Tensor:
        if is_pixels(part):
            channels, height, width = part.shape
            pattern = torch.arange(batch * channels * height * width) % 256
            return pattern.reshape(batch, height, width, channels).to(torch.uint8)
        if part.sound is not None:
            return torch.zeros(batch, part.sound.samples)
        kind = torch.int32 if part.kind == "codes" else torch.float32
        return torch.zeros(batch, *part.shape, dtype=kind)

    return tuple(one(part) for part in spec.input.inputs)


def as_pixels(raw: Any, spec: InputSpec | NamedInputs) -> Any:
    """Raw samples as a baked file sees them: images of known scale in steps of its 255th part."""

    def one(part: InputSpec, x: NDArray[Any]) -> NDArray[Any]:
        if not is_pixels(part):
            return x
        assert part.peak is not None
        pixels = np.clip(np.rint(x.astype(np.float32) * (PIXELS / part.peak)), 0, PIXELS)
        return (pixels * np.float32(part.peak / PIXELS)).astype(np.float32)

    if isinstance(spec, NamedInputs):
        return {part.name: one(part, raw[part.name]) for part in spec.inputs}
    return one(spec, raw)


def comparable(outputs: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    """Logits (N, C) as the probabilities that baked files are compared by (of several labels, less
    0.5, above which a label applies); a regression's answers as they are.
    """
    wide = outputs.astype(np.float64)
    if spec.task == "regression":
        return wide
    if spec.task == "multilabel":
        return 0.5 * np.tanh(wide / 2)
    powers = np.exp(wide - wide.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def comparison_step(outputs: NDArray[np.float32], precision: str) -> float:
    """The unit in which probabilities are compared: 1/255, or what one step of an int8 network's
    outputs (N, C) may change a probability by, where that is more: half of it, as softmax changes
    by at most (p_i - p_i^2) of its own logit and p_i p_j of each other.
    """
    if precision != "int8":
        return 1 / PIXELS
    levels = np.unique(outputs.astype(np.float64))
    steps = np.diff(levels)
    steps = steps[steps > 1e-6 * max(1.0, float(np.abs(levels).max()))]
    return max(1 / PIXELS, float(steps.min()) / 2) if len(steps) else 1 / PIXELS
