"""`padding="same"` is a convolution like any other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.compress.quantize import calibrate, convert, prepare_ptq, prepare_qat


@pytest.mark.parametrize("prepare", [prepare_ptq, prepare_qat])
def test_padding_in_words_is_quantized(prepare):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding="same"), nn.BatchNorm2d(8), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(8, 4, (3, 1), padding="same", dilation=2)).eval()
    x = torch.randn(16, 3, 8, 8)
    prepared = prepare(model, x[:2])
    calibrate(prepared, [x])
    assert prepared.left_float == ()
    converted = convert(prepared, fold=True)
    with torch.no_grad():
        wanted, found = model(x), converted(x)
    assert found.shape == wanted.shape == (16, 4, 8, 8)
    assert (found - wanted).square().mean() < 1e-2 * wanted.square().mean()
