"""The digits and their committed split."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from edgekd.config.data import Augment, DigitsData
from edgekd.data import digits
from edgekd.data.sources import load_source, source_fingerprint


@pytest.fixture(scope="module")
def data():
    return load_source(DigitsData(), Path())


def test_split_is_disjoint_whole_and_stratified():
    split = json.loads(digits.SPLIT_FILE.read_text())
    everything = sorted(split["train"] + split["validation"] + split["test"])
    assert everything == list(range(1797))
    assert [len(split[name]) for name in ("train", "validation", "test")] == [1077, 360, 360]
    target = load_digits().target
    shares = np.bincount(target) / 1797
    for index in split.values():
        np.testing.assert_allclose(np.bincount(target[index]), shares * len(index), atol=1)


def test_committed_split_is_what_make_split_makes():
    assert digits.make_split(digits.arrays()[1]) == json.loads(digits.SPLIT_FILE.read_text())


def test_samples_are_scikit_learns(data):
    raw, split = load_digits(), json.loads(digits.SPLIT_FILE.read_text())
    for name, part in data.splits.items():
        assert part.x.dtype == np.uint8
        assert part.x.shape[1:] == (1, 8, 8)
        np.testing.assert_array_equal(part.x[:, 0], raw.images[split[name]])
        np.testing.assert_array_equal(part.y, raw.target[split[name]])
    assert data.labels == tuple("0123456789")
    assert data.warnings == ()


def test_statistics_are_those_of_the_training_split(data):
    assert data.spec.mean == pytest.approx((data.train.x.mean(dtype=np.float64),), rel=1e-12)
    assert data.spec.std == pytest.approx((data.train.x.std(dtype=np.float64),), rel=1e-12)
    assert (data.spec.kind, data.spec.peak) == ("image", 16.0)
    normal = data.spec.normalise(data.train.x)
    assert (abs(normal.mean()), normal.std()) == pytest.approx((0, 1), abs=1e-4)


def test_source_fingerprint_is_the_split_files():
    expected = hashlib.sha256(digits.SPLIT_FILE.read_bytes()).hexdigest()
    assert source_fingerprint(DigitsData(augment=Augment(shift=1)), Path()) == expected
