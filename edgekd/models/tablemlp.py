"""A perceptron for the rows of a table: numbers, and codes of categories through an embedding.

One table of vectors serves all categorical columns, each with rows of its own: a single gather
looks all codes up, and in int8 it has a single scale. Numbers and vectors enter the first hidden
layer through linear layers of their own whose sums are added. That is the linear layer of both
side by side, and numbers of a wide range do not cost the vectors their precision in int8.

How long the vectors are follows fastai's rule for a column of n values, min(600, 1.6 n^0.56)
(Howard and Gugger 2020, `emb_sz_rule`), of the column with most, and is at most 16 here. Guo and
Berkhahn 2016 (arXiv:1604.06737) describe such embeddings.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.models.layers import channels

HIDDEN = (256, 128)
LONGEST = 16
"""Numbers of a vector: on a phone, the table is most of the file."""


def vector_length(values: int) -> int:
    """Numbers that stand for one of `values` categories."""
    return min(LONGEST, max(1, round(1.6 * values**0.56)))


class TableMLP(nn.Module):
    """Numbers (N, F) float32, codes (N, K) int32, or both in this order, to logits (N, classes).

    Args:
        numbers: F; 0 if there are no numeric columns.
        sizes: of each of the K categorical columns, how many codes it has: its categories, and 0
            for all others.
        width: multiplies the 256 and 128 hidden units.
    """

    def __init__(
        self, numbers: int, sizes: tuple[int, ...], classes: int, width: float = 1.0
    ) -> None:
        super().__init__()
        first, second = (channels(count, width) for count in HIDDEN)
        self.numbers = nn.Linear(numbers, first) if numbers else None
        self.embedding: nn.Embedding | None = None
        self.codes: nn.Linear | None = None
        if sizes:
            length = vector_length(max(sizes))
            self.embedding = nn.Embedding(sum(sizes), length)
            nn.init.normal_(self.embedding.weight, std=length**-0.5)
            self.flatten = nn.Flatten()
            self.codes = nn.Linear(len(sizes) * length, first, bias=not numbers)
            starts = torch.tensor([0, *sizes[:-1]], dtype=torch.int32).cumsum(0, dtype=torch.int32)
            self.starts: Tensor
            self.register_buffer("starts", starts, persistent=False)
        self.first_relu = nn.ReLU()
        self.second = nn.Linear(first, second)
        self.second_relu = nn.ReLU()
        self.classifier = nn.Linear(second, classes)

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """Numbers, codes, or numbers and codes."""
        codes = first if second is None else second
        if self.embedding is None or self.codes is None:
            assert self.numbers is not None
            hidden = self.numbers(first)
        else:
            hidden = self.codes(self.flatten(self.embedding(codes + self.starts)))
            if self.numbers is not None:
                hidden = self.numbers(first) + hidden
        return self.classifier(self.second_relu(self.second(self.first_relu(hidden))))
