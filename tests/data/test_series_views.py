"""Variations of a signal's windows: each by its definition, and the same in any batch."""

from __future__ import annotations

import numpy as np
import torch

from edgekd.config.data import Augment
from edgekd.data.augment import view


def windows(n: int = 400, channels: int = 3, length: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, channels, length, generator=generator)


def varied(x: torch.Tensor, number: int = 1, **fields: float) -> torch.Tensor:
    return view(x, torch.arange(len(x)), Augment.model_validate(fields), 5, number)


def test_a_time_shift_moves_all_channels_together():
    x = windows()
    moved = varied(x, time_shift=4)
    found = []
    for before, after in zip(x.numpy(), moved.numpy(), strict=True):
        for by in range(-4, 5):
            padded = np.pad(before, ((0, 0), (4, 4)))[:, 4 - by : 44 - by]
            if np.array_equal(padded, after):
                found.append(by)
                break
    assert len(found) == len(x)
    assert np.bincount(np.array(found) + 4).min() > 20


def test_a_gain_is_one_factor_a_window_in_decibel():
    x = windows()
    ratio = varied(x, gain=6) / x
    assert torch.allclose(ratio, ratio[:, :1, :1].expand_as(ratio), rtol=1e-4)
    decibel = 20 * torch.log10(ratio[:, 0, 0])
    assert decibel.abs().max() <= 6
    assert decibel.min() < -5 and decibel.max() > 5
    assert abs(float(decibel.mean())) < 0.6


def test_noise_is_gaussian_and_independent_between_channels():
    from scipy import stats

    x = torch.zeros(400, 3, 40)
    noise = varied(x, noise=0.5).numpy()
    assert stats.kstest(noise.ravel() / 0.5, "norm").pvalue > 1e-3
    rows = noise.transpose(1, 0, 2).reshape(3, -1)
    assert np.abs(np.corrcoef(rows) - np.eye(3)).max() < 0.03


def test_a_masked_stretch_is_the_mean_in_every_channel():
    x = windows()
    hidden = (varied(x, mask_time=7) == 0).numpy()
    assert np.array_equal(hidden, np.repeat(hidden[:, :1], 3, axis=1))
    lengths = hidden[:, 0].sum(1)
    assert np.bincount(lengths).min() > 20 and lengths.max() == 7
    assert (np.abs(np.diff(hidden[:, 0].astype(int), axis=1)).sum(1) <= 2).all()


def test_views_do_not_depend_on_the_batch():
    x = windows()
    fields = {"time_shift": 5, "gain": 3, "noise": 0.2, "mask_time": 6}
    settings = Augment.model_validate(fields)
    together = varied(x, **fields)
    some = torch.tensor([390, 3, 77])
    assert torch.equal(view(x[some], some, settings, 5, 1), together[some])
    assert not torch.equal(varied(x, 2, **fields), together)
    assert torch.equal(varied(x, 0, **fields), x)
