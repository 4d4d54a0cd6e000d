"""Statistics and warnings of a data set."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from edgekd.data import assemble as module
from edgekd.data.assemble import assemble, channel_statistics, input_spec, peak
from edgekd.data.dataset import Split


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 6), st.floats(-1e4, 1e4), st.integers(0, 99))
def test_row_statistics_are_scikit_learns(n, features, offset, seed):
    x = (np.random.default_rng(seed).normal(size=(n, features)) + offset).astype(np.float32)
    mean, std = channel_statistics(x)
    scaler = StandardScaler().fit(x.astype(np.float64))
    np.testing.assert_allclose(mean, scaler.mean_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(std, scaler.scale_, rtol=1e-6)


def test_image_statistics_are_per_channel_in_any_chunking(monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (37, 3, 5, 4), dtype=np.uint8)
    monkeypatch.setattr(module, "CHUNK_BYTES", 8 * 60 * 5)
    mean, std = channel_statistics(x)
    np.testing.assert_allclose(mean, x.mean((0, 2, 3), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(std, x.std((0, 2, 3), dtype=np.float64), rtol=1e-12)


def test_constant_feature_is_divided_by_one():
    x = np.array([[1, 5], [2, 5], [3, 5]], np.float32)
    assert input_spec(x).std == pytest.approx((np.sqrt(2 / 3), 1.0))
    np.testing.assert_array_equal(input_spec(x).normalise(x)[:, 1], 0)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "expected"),
    [
        (0, 1, np.float32, 1.0),
        (0, 0.8, np.float32, 1.0),
        (0, 1, np.uint8, 1.0),
        (0, 16, np.uint8, 16.0),
        (0, 100, np.uint8, 255.0),
        (0, 254.5, np.float32, 255.0),
        (0, 4095, np.float32, 4095.0),
        (0, 2.5, np.float32, None),
        (-1, 1, np.float32, None),
    ],
)
def test_peak(low, high, dtype, expected):
    assert peak(np.array([low, high], dtype).reshape(2, 1, 1, 1)) == expected


def parts(train, validation, test, labels=("a", "b")):
    rng = np.random.default_rng(0)
    splits = {
        name: Split(rng.normal(size=(len(y), 4)).astype(np.float32), np.array(y))
        for name, y in (("train", train), ("validation", validation), ("test", test))
    }
    return splits, labels


def test_good_data_gives_no_warning():
    splits, labels = parts([0, 1] * 20, [0, 1], [0, 1])
    assert assemble("x", splits, labels).warnings == ()


def test_duplicates_between_splits_are_counted():
    splits, labels = parts([0, 1] * 20, [0, 1], [0, 1, 0])
    splits["test"].x[:2] = splits["train"].x[5]
    splits["validation"].x[1] = splits["test"].x[2]
    first, second = assemble("x", splits, labels).warnings
    assert first.startswith("2 of 3 test samples also stand in the train split")
    assert second.startswith("1 of 3 test samples also stand in the validation split")


def test_telling_samples_apart_takes_little_memory():
    """A million samples are told apart in 8 MB, whatever they hold."""
    split = Split(np.random.default_rng(0).normal(size=(20_000, 4)), np.zeros(20_000, np.int64))
    tracemalloc.start()
    found = module._content(split)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(np.unique(found)) == 20_000
    assert peak_bytes < 12 * 20_000


def test_imbalance_is_told_above_twenty():
    splits, labels = parts([0] * 40 + [1] * 2, [0, 1], [0, 1])
    assert assemble("x", splits, labels).warnings == ()
    splits, labels = parts([0] * 41 + [1] * 2, [0, 1], [0, 1])
    (warning,) = assemble("x", splits, labels).warnings
    assert "41 training samples of 'a', 2 of 'b'" in warning


def test_absent_class_is_told():
    splits, labels = parts([0, 1] * 5, [0, 1], [0, 0])
    (warning,) = assemble("x", splits, labels).warnings
    assert "test split has no sample of 'b'" in warning


def test_other_scale_of_a_split_is_told():
    rng = np.random.default_rng(0)
    splits = {
        name: Split(rng.uniform(0, top, (4, 1, 4, 4)).astype(np.float32), np.array([0, 1, 0, 1]))
        for name, top in (("train", 255), ("validation", 255), ("test", 1))
    }
    (warning,) = assemble("x", splits, ("a", "b")).warnings
    assert "test images" in warning
