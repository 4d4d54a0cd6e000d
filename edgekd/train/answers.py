"""The teacher's answers to the views of the training samples, read from where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Answers:
    """Answers by view and sample. The arrays may be memory-mapped: what is asked for is read, and
    nothing else.
    """

    values: NDArray[Any]
    """(K, N, C), logits; or (K, N, k + 1), those of the `top` classes and, last, the rest's: its
    softmax at the temperature that it was made for is exact."""
    top: NDArray[Any] | None = None
    """(K, N, k), the classes whose logits `values` holds; None for all classes in their order."""

    @classmethod
    def of(cls, logits: Tensor) -> Answers:
        """Of logits (K, N, C) in memory."""
        return cls(logits.detach().cpu().numpy())

    def __len__(self) -> int:
        """Number of views; 1 where all views share their answers."""
        return len(self.values)

    def at(self, view: int, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """The answers (B, C or k + 1), float32, to one view of the samples at `index`, and their
        classes (B, k), int64, or None, where the index is.
        """
        view, place = view % len(self), index.cpu().numpy()
        values = torch.from_numpy(np.asarray(self.values[view][place], np.float32))
        if self.top is None:
            return values.to(index.device), None
        top = torch.from_numpy(np.asarray(self.top[view][place], np.int64))
        return values.to(index.device), top.to(index.device)
