"""Heads of attention go whole, and a pruned transformer loads as it was saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_importance import Timm
from torch import Tensor, nn

from edgekd.compress.prune import prune
from edgekd.config.networks import ModelSettings
from edgekd.config.pruning import PruneSettings
from edgekd.models.count import macs, parameters
from edgekd.models.saved import load, save
from edgekd.models.shrink import shrink_to
from edgekd.models.vit import Attention, Block
from edgekd.spec import InputSpec, ModelSpec


class Transformer(nn.Module):
    """Two blocks of three heads over the eight columns of an image of 8 x 8."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.widen = nn.Linear(8, 24)
        self.positions = nn.Parameter(torch.randn(1, 8, 24))
        self.blocks = nn.Sequential(Block(24, 3), Block(24, 3))
        if fused:
            for block in self.blocks:
                block.attention = Timm(24, 3)  # type: ignore[assignment]
        self.classifier = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.widen(x.flatten(1, 2).transpose(1, 2)) + self.positions
        return self.classifier(self.blocks(tokens).mean(1))


def transformer(fused: bool = False, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(fused).eval()


def heads(model: nn.Module) -> list[int]:
    found = [m for m in model.modules() if isinstance(m, Attention | Timm)]
    return [m.heads if isinstance(m, Attention) else m.num_heads for m in found]


@pytest.mark.parametrize("fused", [False, True])
def test_a_head_that_adds_nothing_goes_first_and_nothing_changes(fused, tmp_path: Path):
    model, x = transformer(fused), torch.randn(4, 1, 8, 8)
    attention = model.blocks[1].attention
    out = attention.proj if isinstance(attention, Timm) else attention.output
    inputs = [attention.qkv] if isinstance(attention, Timm) else [attention.query, attention.value]
    with torch.no_grad():
        out.weight[:, 8:16] = 0
        for layer in inputs:  # near nothing, so that this head is the least of all
            for part in layer.weight.chunk(len(layer.weight) // 24):
                part[8:16] *= 1e-3
    keep = 0.999  # one head is more than that
    others = ["widen", "classifier", "blocks.*.widen", "blocks.*.narrow"]
    pruned = prune(model, x[:2], PruneSettings(keep=keep, ignored_layers=others))
    assert heads(pruned) == [3, 2]
    torch.testing.assert_close(pruned(x), model(x), rtol=1e-4, atol=1e-4)
    again = transformer(fused, seed=1)
    shrink_to(again, pruned.state_dict(), tmp_path)
    again.load_state_dict(pruned.state_dict())
    assert torch.equal(again(x), pruned(x)) and heads(again) == [3, 2]


def test_every_attention_keeps_a_head_and_the_tokens_their_width():
    model, x = transformer(), torch.randn(2, 1, 8, 8)
    pruned = prune(model, x, PruneSettings(keep=0.4, target="parameters"))
    assert all(number >= 1 for number in heads(pruned)) and min(heads(pruned)) < 3
    assert pruned.positions.shape == model.positions.shape
    assert parameters(pruned) <= 0.4 * parameters(model)
    assert pruned(x).shape == (2, 5)


@pytest.mark.slow
def test_the_zoos_transformer_prunes_and_loads(tmp_path: Path):
    from edgekd.models.build import build

    image = InputSpec(kind="image", shape=(1, 8, 8), mean=(0.0,), std=(1.0,))
    spec = ModelSpec(name="vit", input=image, labels=tuple("abc"))
    settings = ModelSettings.model_validate({"name": "vit", "width": 0.6})
    torch.manual_seed(0)
    model = build(settings, image, 3).eval()
    pruned = prune(model, torch.zeros(2, 1, 8, 8), PruneSettings(keep=0.6, round_to=64))
    assert 0.55 < macs(pruned, image) / macs(model, image) <= 0.6
    save(pruned, settings, spec, tmp_path)
    loaded = load(tmp_path)
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(loaded.model(x), pruned(x)) and loaded.pruned
