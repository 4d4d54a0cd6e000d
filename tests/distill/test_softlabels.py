"""The cache holds the teacher's answers to what the student sees, and refuses everything else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.config.data import Augment
from edgekd.data.augment import view
from edgekd.data.dataset import Split
from edgekd.data.mixing import blend, pairs
from edgekd.distill.softlabels import check_soft_labels, load_soft_labels, make_soft_labels
from edgekd.errors import StageError
from edgekd.spec import InputSpec

SPEC = InputSpec(kind="image", shape=(1, 6, 6), mean=(0.5,), std=(2.0,))
AUGMENT = Augment(shift=1, views=3)


@pytest.fixture
def train() -> Split:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1, 6, 6)).astype(np.float32)
    return Split(x, rng.integers(0, 3, 40))


@pytest.fixture
def teacher() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))


def make(teacher, train, folder, augment=AUGMENT):
    make_soft_labels(teacher, train, SPEC, augment, 7, "print", folder)
    return load_soft_labels(folder, train, "print", augment, 7)


def test_every_view_is_what_the_teacher_says_to_it(teacher, train, tmp_path):
    logits = make(teacher, train, tmp_path)
    assert logits.values.shape == (3, 40, 3)
    x = torch.from_numpy((train.x - 0.5) / 2)
    teacher.eval()
    for number in range(3):
        for sample in (0, 17, 39):
            index = torch.tensor([sample])
            with torch.no_grad():
                expected = teacher(view(x[index], index, AUGMENT, 7, number))[0]
            assert torch.allclose(logits.at(number, index)[0][0], expected, atol=2e-3)


@pytest.mark.parametrize("augment", [Augment(mixup=0.4, views=3), Augment(cutmix=1, views=3)])
def test_mixed_views_are_what_the_teacher_says_to_them(teacher, train, tmp_path, augment):
    logits = make(teacher, train, tmp_path, augment)
    x = torch.from_numpy((train.x - 0.5) / 2)
    index = torch.arange(40)
    teacher.eval()
    for number in range(3):
        mixed = x
        if number:
            pair = pairs(index, 40, (1, 6, 6), augment, 7, number)
            mixed = blend(x, x[pair.index], pair)
        with torch.no_grad():
            assert torch.allclose(logits.at(number, index)[0], teacher(mixed), atol=2e-3)
    check_soft_labels(logits, teacher, train, SPEC, augment, 7)


def test_without_augmentation_there_is_one_view(teacher, train, tmp_path):
    assert make(teacher, train, tmp_path, Augment()).values.shape == (1, 40, 3)


def test_the_teacher_is_not_left_in_another_mode(teacher, train, tmp_path):
    teacher.train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    make(teacher, train, tmp_path)
    assert teacher.training
    assert all(torch.equal(before[n], v) for n, v in teacher.state_dict().items())


@pytest.mark.parametrize(
    ("fingerprint", "augment", "seed"),
    [("other", AUGMENT, 7), ("print", Augment(shift=2, views=3), 7), ("print", AUGMENT, 8)],
)
def test_a_cache_of_something_else_is_refused(teacher, train, tmp_path, fingerprint, augment, seed):
    make(teacher, train, tmp_path)
    with pytest.raises(StageError, match="other data or other augmentation"):
        load_soft_labels(tmp_path, train, fingerprint, augment, seed)


def test_another_teacher_is_noticed(teacher, train, tmp_path):
    logits = make(teacher, train, tmp_path)
    check_soft_labels(logits, teacher, train, SPEC, AUGMENT, 7)
    with torch.no_grad():
        teacher[3].bias += 1
    with pytest.raises(StageError, match="this teacher's answers"):
        check_soft_labels(logits, teacher, train, SPEC, AUGMENT, 7)


def test_answers_that_do_not_fit_float16_are_refused(teacher, train, tmp_path):
    with torch.no_grad():
        teacher[3].weight *= 1e8
    with pytest.raises(StageError, match="finite float16") as caught:
        make(teacher, train, tmp_path)
    assert "training sample" in caught.value.where
