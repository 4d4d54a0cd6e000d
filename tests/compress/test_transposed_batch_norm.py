"""Batch norm after a transposed convolution folds along the weight's second axis."""

from __future__ import annotations

import torch
from torch import nn

from edgekd.compress.quantize import calibrate, convert, prepare_qat


def test_qat_folds_it_and_answers_the_same():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ConvTranspose2d(8, 6, 2, 2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 4, 1),
    )
    x = torch.randn(16, 3, 8, 8)
    for _ in range(9):
        model.train()(x)
    prepared = prepare_qat(model.eval(), x[:2])
    calibrate(prepared, [x])
    prepared.train()(x)
    prepared.eval()
    with torch.no_grad():
        wanted, found, exact = prepared(x), convert(prepared, fold=True)(x), model(x)
    assert (found - wanted).square().mean() < 1e-3 * wanted.square().mean()
    assert (found - exact).square().mean() < 1e-2 * exact.square().mean()
