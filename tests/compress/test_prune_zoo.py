"""Every network of the zoo prunes to its target, and loads bit by bit as it was saved."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from edgekd import inputs
from edgekd.compress.prune import prune
from edgekd.config.networks import ModelSettings, ZooName
from edgekd.config.pruning import PruneSettings
from edgekd.models.build import build
from edgekd.models.count import macs
from edgekd.models.saved import load, save
from edgekd.spec import InputSpec, ModelSpec, NamedInputs

IMAGE = InputSpec(kind="image", shape=(1, 8, 8), mean=(0.0,), std=(1.0,))
WIDTHS = {"vit": 0.6, "mobilenet_v2": 0.35, "mlp": 1.0, "tablemlp": 2.0}
KEEP, TOLERANCE = 0.7, 0.1
"""Of the multiplications: at most this remains, and at least this less the tolerance."""


def spec_of(name: str) -> InputSpec | NamedInputs:
    if name == "cnn1d":
        return InputSpec(kind="series", shape=(3, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
    if name == "tablemlp":
        numbers = InputSpec(name="numbers", kind="row", shape=(6,), mean=(0.0,) * 6, std=(1.0,) * 6)
        codes = InputSpec(
            name="codes", kind="codes", shape=(2,), vocabulary=(("a", "b", "c"), ("d", "e"))
        )
        return NamedInputs(inputs=(numbers, codes))
    return IMAGE


@pytest.mark.slow
@pytest.mark.parametrize("name", get_args(ZooName))
def test_prunes_to_its_target_and_loads_as_it_was_saved(name: str, tmp_path: Path) -> None:
    spec = spec_of(name)
    width = WIDTHS.get(name, 0.5)
    settings = ModelSettings.model_validate({"name": name, "width": width})
    torch.manual_seed(0)
    model = build(settings, spec, 5).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    round_to = 64 if name == "vit" else 8  # larger parts, in less time
    pruned = prune(model, inputs.zeros(spec, 2), PruneSettings(keep=KEEP, round_to=round_to))
    assert KEEP - TOLERANCE < macs(pruned, spec) / macs(model, spec) <= KEEP
    save(pruned, settings, ModelSpec(name=name, input=spec, labels=tuple("abcde")), tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    loaded = load(tmp_path)
    x = inputs.apply(lambda part: torch.rand_like(part) if part.is_floating_point() else part,
                     inputs.zeros(spec, 3))  # fmt: skip
    with torch.no_grad():
        assert torch.equal(inputs.call(loaded.model, x), inputs.call(pruned, x))
    assert loaded.pruned
