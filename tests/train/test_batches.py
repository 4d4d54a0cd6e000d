"""Batches cover the data once, and the soft labels are those of the samples shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgekd.config.data import Augment
from edgekd.data.augment import view
from edgekd.data.dataset import Split
from edgekd.spec import InputSpec
from edgekd.train.answers import Answers
from edgekd.train.batches import Batch, batch_bounds, epoch_order, mix, training_batches, varied

SPEC = InputSpec(kind="image", shape=(1, 5, 5), mean=(0.0,), std=(1.0,), peak=1.0)


@given(st.integers(2, 500), st.integers(2, 200))
def test_batches_cover_everything_once_and_none_holds_one(n, size):
    bounds = batch_bounds(n, size)
    covered = [i for start, end in bounds for i in range(start, end)]
    assert covered == list(range(n))
    assert all(2 <= end - start <= size + 1 for start, end in bounds)


@given(st.integers(0, 2**32), st.integers(0, 1000))
def test_orders_are_permutations_that_differ_by_epoch(seed, epoch):
    order = epoch_order(50, seed, epoch)
    assert sorted(order.tolist()) == list(range(50))
    assert order.tolist() == epoch_order(50, seed, epoch).tolist()
    assert order.tolist() != epoch_order(50, seed, epoch + 1).tolist()


def test_mixed_seeds_do_not_collide_where_sums_would():
    assert len({mix(a, b) for a in range(30) for b in range(30)}) == 900


def test_teacher_logits_are_those_of_the_samples_and_the_view():
    x = torch.randn(20, 1, 5, 5)
    augment = Augment(shift=1, views=3)
    all_views = torch.stack([view(x, torch.arange(20), augment, 7, k) for k in range(3)])
    teacher = all_views.flatten(2).half()
    batches = training_batches(
        x, torch.arange(20), epoch_order(20, 7, 4), 6, augment, 7, 1, Answers.of(teacher), SPEC
    )
    for batch in batches:
        assert batch.teacher is not None
        assert torch.equal(batch.teacher, batch.x.flatten(1).half().float())
        assert torch.equal(batch.y, batch.index)


def test_a_large_split_is_normalised_batch_wise_to_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgekd.train import batches

    raw = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 4), np.uint8)
    split = Split(raw, np.zeros(50, np.int64))
    spec = InputSpec(kind="image", shape=(3, 4, 4), mean=(100.0,) * 3, std=(60.0,) * 3)
    whole = batches.normalised(split, spec, torch.device("cpu"))
    monkeypatch.setattr(batches, "LARGE", 0)
    stored = batches.normalised(split, spec, torch.device("cpu"))
    assert isinstance(stored, batches.Stored)
    index = torch.tensor([3, 49, 0])
    assert torch.equal(stored[index], whole[index])
    assert torch.equal(torch.cat(list(stored.split(16))), whole[:])


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_streamed_epoch_has_the_bits_of_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    from edgekd.train import batches

    raw = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 4)).astype(kind)
    np.save(tmp_path / "x.npy", raw)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    spec = InputSpec(kind="image", shape=(3, 4, 4), mean=(100.0,) * 3, std=(60.0,) * 3, peak=255)
    augment = Augment(shift=1, brightness=0.2, rand_augment=1, mixup=0.2)
    y, order = torch.arange(50), epoch_order(50, 3, 1)

    def epoch(view_number: int) -> list[Batch]:
        x = batches.normalised(Split(mapped, y.numpy()), spec, torch.device("cpu"))
        assert isinstance(x, batches.Stored) == (batches.LARGE == 0)
        return list(training_batches(x, y, order, 16, augment, 3, view_number, None, spec))

    whole = [epoch(0), epoch(1)]
    monkeypatch.setattr(batches, "LARGE", 0)
    for number, expected in enumerate(whole):
        for streamed, held in zip(epoch(number), expected, strict=True):
            for name in ("x", "y", "index", "partner", "share"):
                one, other = getattr(streamed, name), getattr(held, name)
                assert (one is None) == (other is None)
                assert one is None or torch.equal(one, other)
            assert streamed.x.stride() == held.x.stride()


@pytest.mark.parametrize("augment", [Augment(mixup=0.3, shift=1), Augment(cutmix=1.0, flip=True)])
def test_mixed_batches_show_what_the_teacher_saw_and_both_targets(augment: Augment) -> None:
    x = torch.randn(30, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    everything = torch.arange(30)
    shown = [varied(x, everything, augment, 7, k, SPEC)[0] for k in range(8)]
    assert torch.equal(shown[0], x)
    base = view(x, everything, augment, 7, 3)
    teacher = Answers.of(torch.stack(shown).flatten(2))
    order = epoch_order(30, 7, 3)
    for batch in training_batches(x, everything * 2, order, 7, augment, 7, 3, teacher, SPEC):
        assert batch.teacher is not None and batch.partner is not None and batch.share is not None
        assert torch.equal(batch.teacher, batch.x.flatten(1))
        assert torch.equal(batch.y, 2 * batch.index)
        own, other = base[batch.index], base[batch.partner // 2]
        share = batch.share[:, None, None, None]
        if augment.mixup:
            assert torch.allclose(batch.x, share * own + (1 - share) * other)
        else:
            assert ((batch.x == own) | (batch.x == other)).all()
            assert torch.allclose((batch.x == own).float().mean((1, 2, 3)), batch.share)
    plain = training_batches(x, everything, order, 7, augment, 7, 0, teacher, SPEC)
    assert all(batch.partner is None and batch.share is None for batch in plain)
