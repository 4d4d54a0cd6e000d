"""mixup and CutMix: pairs by NumPy, the same in any batch, and targets by their share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from edgekd.config.data import Augment
from edgekd.data.augment import view
from edgekd.data.mixing import blend, pairs

SHAPE = (3, 10, 14)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(2, 50),
    mixup=st.sampled_from([0.0, 0.2, 1.0]),
    cutmix=st.sampled_from([0.0, 1.0, 0.5]),
    seed=st.integers(0, 2**62),
    number=st.integers(1, 9),
)
def test_mixed_samples_are_those_of_the_equations(count, mixup, cutmix, seed, number) -> None:
    augment = Augment(mixup=mixup, cutmix=cutmix)
    index = torch.arange(count)
    x = torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed % 99))
    pair = pairs(index, count, SHAPE, augment, seed, number)
    assert (pair.index != index).all() and int(pair.index.max()) < count
    got = blend(x, x[pair.index], pair).numpy()
    for i in range(count):
        own, other, share = x[i].numpy(), x[pair.index[i]].numpy(), np.float32(pair.share[i])
        if pair.pasted[i]:
            top, bottom, left, right = pair.box[i].tolist()
            want = own.copy()
            want[:, top:bottom, left:right] = other[:, top:bottom, left:right]
            assert share == pytest.approx(1 - (bottom - top) * (right - left) / 140)
        else:
            want = share * own + (1 - share) * other
        np.testing.assert_allclose(got[i], want, atol=1e-6)
    assert bool(pair.pasted.all()) == (not mixup) or bool(mixup and cutmix) or not cutmix


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    index = torch.arange(4000)
    pair = pairs(index, 4000, SHAPE, Augment(mixup=alpha), 0, 1)
    assert kstest(pair.share.double().numpy(), beta(alpha, alpha).cdf).pvalue > 1e-3


def test_boxes_have_the_area_that_was_drawn_where_nothing_is_cut_off() -> None:
    index = torch.arange(4000)
    pair = pairs(index, 4000, (3, 200, 200), Augment(cutmix=1), 0, 1)
    top, bottom, left, right = pair.box.T
    whole = (top > 0) & (left > 0) & (bottom < 200) & (right < 200)
    assert whole.sum() > 500
    side = (bottom - top)[whole]
    assert torch.equal(side, (right - left)[whole])
    assert ((1 - (side / 200) ** 2) - pair.share[whole]).abs().max() < 1e-6
    both = pairs(index, 4000, SHAPE, Augment(cutmix=1, mixup=1), 0, 1)
    assert 1850 < int(both.pasted.sum()) < 2150


def test_pairs_do_not_depend_on_the_batch() -> None:
    augment = Augment(mixup=0.4, cutmix=1)
    index = torch.arange(90)
    whole = pairs(index, 90, SHAPE, augment, 4, 3)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    some = pairs(index[order], 90, SHAPE, augment, 4, 3)
    for name in ("index", "share", "box", "pasted"):
        assert torch.equal(getattr(some, name), getattr(whole, name)[order])
    other = pairs(index, 90, SHAPE, augment, 4, 2)
    assert (other.index != whole.index).float().mean() > 0.9


def test_view_alone_mixes_nothing() -> None:
    x = torch.randn(6, 8)
    assert torch.equal(view(x, torch.arange(6), Augment(mixup=0.3), 0, 2), x)
