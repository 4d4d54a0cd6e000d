"""Views of images against a NumPy reference, and their independence of order and batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.config.data import Augment
from edgekd.data.augment import moves, view


def reference(image: np.ndarray, down: int, right: int, mirrored: bool) -> np.ndarray:
    """Mirror, then shift inside a canvas of zeros: cut from a padded copy."""
    _, height, width = image.shape
    image = image[:, :, ::-1] if mirrored else image
    edge = max(abs(down), abs(right))
    canvas = np.pad(image, ((0, 0), (edge, edge), (edge, edge)))
    return canvas[:, edge - down : edge - down + height, edge - right : edge - right + width]


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (6, 4, 9, 9))),
    shift=st.integers(0, 12),
    flip=st.booleans(),
    seed=st.integers(0, 2**63),
    number=st.integers(1, 40),
    last=st.booleans(),
)
def test_view_is_a_mirrored_shift_filled_with_zero(shape, shift, flip, seed, number, last):
    augment = Augment(shift=shift, flip=flip)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed % 1000))
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    index = torch.arange(len(x)) * 7 + seed % 100
    before = x.clone()
    moved = view(x, index, augment, seed, number)
    down, right, mirrored = moves(index, augment, seed, number)
    for i in range(len(x)):
        expected = reference(x[i].numpy(), int(down[i]), int(right[i]), bool(mirrored[i]))
        np.testing.assert_array_equal(moved[i].numpy(), expected)
    assert torch.equal(x, before)
    assert moved.is_contiguous(memory_format=torch.channels_last) or not last


def test_hash_is_splitmix64():
    """moves() against SplitMix64 (Steele et al. 2014) in Python's unbounded integers."""
    mask = 2**64 - 1

    def finalise(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    augment = Augment(shift=3, flip=True)
    for seed, number, i in [(0, 1, 0), (5, 7, 49_999), (2**62, 3, 12)]:
        key = finalise((finalise((seed + golden) & mask) ^ number) + golden & mask)
        bits = finalise((i * golden + key) & mask)
        expected = (
            bits % 2**24 % 7 - 3,
            (bits >> 24) % 2**24 % 7 - 3,
            (bits >> 48) % 2,
        )
        assert tuple(int(m) for m in moves(torch.tensor([i]), augment, seed, number)) == expected


def test_view_does_not_depend_on_batch_or_order():
    augment = Augment(shift=2, flip=True)
    x, index = torch.randn(32, 3, 8, 8), torch.arange(100, 132)
    whole = view(x, index, augment, 1, 3)
    order = torch.randperm(32)
    assert torch.equal(view(x[order], index[order], augment, 1, 3), whole[order])
    alone = torch.cat([view(x[i : i + 1], index[i : i + 1], augment, 1, 3) for i in range(32)])
    assert torch.equal(alone, whole)


def test_view_leaves_global_random_state_alone():
    before = torch.get_rng_state()
    view(torch.randn(4, 1, 8, 8), torch.arange(4), Augment(shift=2), 0, 1)
    torch.set_rng_state(before)
    first = torch.rand(3)
    torch.set_rng_state(before)
    view(torch.zeros(4, 1, 8, 8), torch.arange(4), Augment(shift=2), 0, 1)
    assert torch.equal(torch.rand(3), first)


def test_view_0_and_no_augmentation_are_the_images_themselves():
    x, index = torch.randn(4, 1, 8, 8), torch.arange(4)
    assert torch.equal(view(x, index, Augment(shift=2, flip=True), 0, 0), x)
    assert torch.equal(view(x, index, Augment(), 0, 5), x)


def test_moves_are_uniform_and_differ_by_seed_and_view():
    from scipy.stats import chisquare

    augment, index = Augment(shift=2, flip=True), torch.arange(50_000)
    seen = {}
    for seed, number in [(0, 1), (0, 2), (1, 1)]:
        down, right, mirrored = moves(index, augment, seed, number)
        for m, n in ((down + 2, 5), (right + 2, 5), (mirrored.long(), 2)):
            assert chisquare(np.bincount(m.numpy(), minlength=n)).pvalue > 1e-4
        seen[seed, number] = torch.stack([down, right, mirrored.long()])
    one, two, three = seen.values()
    for a, b in ((one, two), (one, three), (two, three)):
        agree = (a == b).all(0).float().mean().item()
        assert agree == pytest.approx(1 / 50, abs=0.004)


def test_rows_are_refused():
    with pytest.raises(ValueError, match="images"):
        view(torch.zeros(4, 9), torch.arange(4), Augment(shift=1), 0, 1)
