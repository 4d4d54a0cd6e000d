"""A moving average of a network's state."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Ema:
    """Exponential moving average of weights and statistics (Polyak and Juditsky 1992).

    The decay is min(`decay`, (1 + t) / (10 + t)) at step t, so that the random start is soon
    forgotten. Integer tensors are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the model's state after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    def restore(self, state: dict[str, Tensor], steps: int) -> None:
        """Puts back a state that a checkpoint held."""
        self.state, self.steps = state, steps
