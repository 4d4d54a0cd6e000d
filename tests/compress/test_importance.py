"""What channels are worth, against sums by hand in numpy."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch_pruning as tp
from edge_nets import inputs, make
from torch import nn
from torch.nn import functional as F

from edgekd.compress.groups import AttentionHeads, Channels, prunable
from edgekd.compress.importance import Labelled, attach, weights_worth
from edgekd.models.vit import Attention


def small() -> nn.Sequential:
    """A convolution with batch normalisation, another one, and a classifier."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 4, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    nn.init.uniform_(model[1].weight, -1, 1)
    return model.eval()


def scores(model: nn.Module, importance: str, samples: Labelled | None = None) -> np.ndarray:
    """Of the channels of the first convolution."""
    worth = weights_worth(model, importance, samples)  # type: ignore[arg-type]
    attach(model, worth)
    (part,) = prunable(model, torch.zeros(2, 1, 8, 8), 1, only=["0"])
    found = part.scores()
    assert found is not None
    return found.numpy()


def labelled(count: int) -> Labelled:
    return Labelled(inputs(count), torch.arange(count) % 3)


def test_magnitude_is_the_squared_norm_of_all_that_belongs_to_a_channel():
    model = small()
    first, gamma, second = (
        weight.detach().double().numpy()
        for weight in (model[0].weight, model[1].weight, model[3].weight)
    )
    by_hand = (
        (first**2).sum((1, 2, 3)) + gamma**2 + (second**2).sum((0, 2, 3))
    ) / 3  # three layers
    np.testing.assert_allclose(scores(model, "magnitude"), by_hand, rtol=1e-5)


@pytest.mark.parametrize("name", ["residual", "perceptron"])
def test_magnitude_is_torch_prunings(name):
    model = make(name)
    attach(model, weights_worth(model, "magnitude", None))
    theirs = tp.importance.GroupMagnitudeImportance(p=2, normalizer=None)
    seen = 0
    for part in prunable(model, inputs(2), 4):
        assert isinstance(part, Channels)
        found = part.scores()
        assert found is not None
        torch.testing.assert_close(found, theirs(part.group(range(part.width))))
        seen += 1
    assert seen > 2


def test_bn_scale_is_gamma():
    model = small()
    gamma = model[1].weight.detach().numpy()
    np.testing.assert_allclose(scores(model, "bn_scale"), np.abs(gamma))


def test_layers_without_batch_normalisation_have_no_bn_scale():
    model = small()
    attach(model, weights_worth(model, "bn_scale", None))
    (part,) = prunable(model, torch.zeros(2, 1, 8, 8), 1, only=["3"])
    assert part.scores() is None


def test_taylor_is_weight_times_gradient_in_each_batch():
    model, samples = small(), labelled(128)
    sums = np.zeros(8)
    for start in (0, 64):
        copied = copy.deepcopy(model)
        x, y = samples.x[start : start + 64], samples.y[start : start + 64]
        F.cross_entropy(copied(x), y).backward()
        for layer, axes in ((0, (1, 2, 3)), (1, ()), (3, (0, 2, 3))):
            weight = copied[layer].weight
            change = np.abs((weight.detach() * weight.grad).double().numpy())
            sums += (change.sum(axes) if axes else change) / 3 / 2
    np.testing.assert_allclose(scores(model, "taylor", samples), sums, rtol=1e-4)


def test_hessian_is_half_the_mean_of_squares_over_single_samples():
    model, samples = small(), labelled(6)
    sums = np.zeros(8)
    for x, y in zip(samples.x.split(1), samples.y.split(1), strict=True):
        copied = copy.deepcopy(model)
        F.cross_entropy(copied(x), y).backward()
        for layer, axes in ((0, (1, 2, 3)), (1, ()), (3, (0, 2, 3))):
            weight = copied[layer].weight
            change = ((weight.detach() * weight.grad).double().numpy()) ** 2 / 2
            sums += (change.sum(axes) if axes else change) / 3 / 6
    np.testing.assert_allclose(scores(model, "hessian", samples), sums, rtol=1e-4)


def test_first_order_tells_what_a_small_change_of_a_channel_does():
    """|w g| of a batch-norm scale alone, against the loss with it made a little smaller."""
    model, samples = small().double(), labelled(64)
    samples = Labelled(samples.x.double(), samples.y)
    worth = weights_worth(model, "taylor", samples)["1.weight"].numpy()
    step = 1e-5
    for channel in range(8):
        changed = copy.deepcopy(model)
        with torch.no_grad():
            changed[1].weight[channel] *= 1 - step
            losses = [F.cross_entropy(m(samples.x), samples.y) for m in (model, changed)]
        assert abs(float(losses[0] - losses[1])) / step == pytest.approx(worth[channel], rel=1e-3)


@pytest.mark.parametrize("fused", [False, True])
def test_heads_are_worth_what_their_numbers_are(fused):
    torch.manual_seed(0)
    attention = Timm(24, 3) if fused else Attention(24, 3)
    attach(attention, weights_worth(attention, "magnitude", None))
    found = AttentionHeads("a", attention).scores()
    assert found is not None
    if isinstance(attention, Timm):
        rows = list(attention.qkv.weight.detach().square().sum(1).chunk(3))
        out = attention.proj
    else:
        parts = (attention.query, attention.key, attention.value)
        rows = [part.weight.detach().square().sum(1) for part in parts]
        out = attention.output
    columns = out.weight.detach().square().sum(0)
    torch.testing.assert_close(found, sum(rows, columns) / 4)


class Timm(nn.Module):
    """Attention as timm writes it: one layer for queries, keys and values."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.attn_dim = heads, dim // heads, dim
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, tokens, _ = x.shape
        shape = (count, tokens, 3, self.num_heads, self.head_dim)
        q, k, v = self.qkv(x).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(count, tokens, self.attn_dim))
