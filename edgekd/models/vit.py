"""A tiny vision transformer: Dosovitskiy et al. 2021 (arXiv:2010.11929), of DeiT-Ti's size.

Patches become tokens by a strided convolution; learned positions are added; 12 blocks of
pre-normalised self-attention and a two-layer perceptron, each with a residual add; layer
normalisation, the mean of the tokens, a linear classifier. At width 1: 192 numbers a token, 3 heads
(Touvron et al. 2021, arXiv:2012.12877, table 1).

What differs: the mean of the tokens instead of a class token (as good, Dosovitskiy et al.,
appendix D.3; it saves 384 parameters); queries, keys and values are three layers, not one, so that
each has its own int8 range.

Small images: patches have the largest power of two pixels, at most 16, that leaves 8 along the
shorter side: 4 x 4 at 32 x 32. Sides that patches do not fill are padded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TOKEN, HEADS, BLOCKS, EXPANSION = 192, 3, 12, 4
LARGEST_PATCH, LEAST_PATCHES = 16, 8


class Attention(nn.Module):
    """Multi-head self-attention, equations 5 to 8: (N, T, token) to the same."""

    def __init__(self, token: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(token, token) for _ in range(3))
        self.output = nn.Linear(token, token)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, T, token)."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        size = query.shape[2] // self.heads
        split = (-1, x.shape[1], self.heads, size)
        query, key, value = (y.reshape(split).transpose(1, 2) for y in (query, key, value))
        weights = torch.softmax(query * size**-0.5 @ key.transpose(2, 3), 3)
        mixed = (weights @ value).transpose(1, 2)
        return self.output(mixed.reshape(-1, x.shape[1], self.heads * size))


class Block(nn.Module):
    """Attention and perceptron, equations 2 and 3: (N, T, token) to the same."""

    def __init__(self, token: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.norm = nn.LayerNorm(token), nn.LayerNorm(token)
        self.attention = Attention(token, heads)
        self.widen, self.gelu = nn.Linear(token, EXPANSION * token), nn.GELU()
        self.narrow = nn.Linear(EXPANSION * token, token)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, T, token)."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.narrow(self.gelu(self.widen(self.norm(x))))


class ViT(nn.Module):
    """(N, inputs, H, W) to logits (N, classes); sides of 4 pixels or more, always the same.

    Args:
        inputs: channels of the image.
        size: its height and width in pixels.
        width: multiplies the numbers of a token; heads keep about 64 of them.
    """

    def __init__(
        self, inputs: int, size: tuple[int, int], classes: int, width: float = 1.0
    ) -> None:
        super().__init__()
        heads = max(1, round(HEADS * width))
        token = heads * max(8, round(TOKEN * width / heads / 8) * 8)
        patch = patch_of(min(size))
        grid = [-(-side // patch) for side in size]
        padding = [-(-(count * patch - side) // 2) for count, side in zip(grid, size, strict=True)]
        self.patches = nn.Conv2d(inputs, token, patch, patch, (padding[0], padding[1]))
        self.positions = nn.Parameter(torch.zeros(1, grid[0] * grid[1], token))
        self.blocks = nn.Sequential(*(Block(token, heads) for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(token)
        self.classifier = nn.Linear(token, classes)
        self._initialise()

    def _initialise(self) -> None:
        """As DeiT does: normal, deviation 0.02, cut at two of them; biases 0."""
        nn.init.trunc_normal_(self.positions, std=0.02)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.classifier(self.norm(self.blocks(tokens)).mean(1))


def patch_of(side: int) -> int:
    """Side of a patch for an image whose shorter side is `side`, in pixels."""
    patch = LARGEST_PATCH
    while patch > 1 and -(-side // patch) < LEAST_PATCHES:
        patch //= 2
    return patch
