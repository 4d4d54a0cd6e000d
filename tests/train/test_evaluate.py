"""A network's answers, and how much of them is held at a time."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import Tensor, nn

from edgekd.train.evaluate import logits_of


class Watched(nn.Module):
    """A linear network that counts how many of its answers are still held."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 5)
        self.given: list[weakref.ref[Tensor]] = []
        self.most = 0

    def forward(self, x: Tensor) -> Tensor:
        answer = self.linear(x)
        self.given.append(weakref.ref(answer))
        self.most = max(self.most, sum(given() is not None for given in self.given))
        return answer


@pytest.mark.parametrize("samples", [1, 8, 9, 100])
def test_answers_are_those_of_the_batches(samples: int) -> None:
    x, model = torch.randn(samples, 3), Watched().train()
    expected = torch.cat([model.linear(part) for part in x.split(8)])
    assert torch.equal(logits_of(model, x, 8), expected)
    assert model.training, "the mode is kept"


def test_answers_of_earlier_batches_are_let_go() -> None:
    """Else all answers would be held twice: a gigabyte, of 100,000 samples and 1,000 classes."""
    model = Watched()
    logits_of(model, torch.randn(400, 3), 8)
    assert len(model.given) == 50
    assert model.most <= 3
