"""What a training minimises: a function of outputs and batch, or a module with more to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from edgekd.train.batches import Batch

Objective = Callable[[Tensor, Batch, int], tuple[Tensor, dict[str, Tensor]]]
"""From logits (B, C), the batch and the epoch (from 0) to the loss and its named parts."""


class Distiller(nn.Module, ABC):
    """An objective that may learn itself and may look into the network that it trains.

    Its parameters are trained with the network's and its state is in the checkpoint, but it is no
    part of the network: what is saved and exported knows nothing of it. A teacher that it asks must
    be kept out of its parameters.
    """

    @property
    def trains_outputs(self) -> bool:
        """Whether it looks at the network's outputs. A score on validation says nothing otherwise,
        and the last epoch is kept instead of the best."""
        return True

    @abstractmethod
    def forward(self, logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its named parts, as any `Objective`."""

    @contextmanager
    def watching(self, student: nn.Module) -> Iterator[None]:
        """While a network is trained: hooks are set, and gone afterwards."""
        yield

    def judged(self, score: float) -> None:
        """After an epoch, with the network's score on validation."""
        return

    @abstractmethod
    def settings(self) -> Any:
        """What it was made from, as JSON values: another sum does not go on from its checkpoint."""
