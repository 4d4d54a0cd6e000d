"""Targets: what `auto` takes them for, what each task makes of them, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.config.data import NpzData
from edgekd.data.sources import load_source
from edgekd.data.splits import split_off
from edgekd.data.targets import read_targets, statistics
from edgekd.errors import DataError

RNG = np.random.default_rng(0)
N = 40
MANY = (RNG.random((N, 3)) < 0.4).astype(np.int64)


def read(y, **options):
    y = np.asarray(y)
    return read_targets({"train": y}, counts={"train": N}, where={"train": "file, y"}, **options)


AUTO = {
    "strings": (np.array(["b", "a", "c", "a"] * 10), "classification", ("a", "b", "c")),
    "two strings": (np.array(["yes", "no"] * 20), "binary", ("no", "yes")),
    "truth": (np.array([True, False] * 20), "binary", ("0", "1")),
    "two numbers": (np.array([0, 1] * 20), "binary", ("0", "1")),
    "numbers": (np.arange(N) % 4, "classification", ("0", "1", "2", "3")),
    "whole floats": (np.arange(N) % 4 * 1.0, "classification", ("0", "1", "2", "3")),
    "floats with a gap": (np.arange(N) % 4 * 2.0 + 25, "regression", ("target",)),
    "fractions": (np.linspace(0, 1, N), "regression", ("target",)),
    "negative floats": (np.arange(N) - 20.0, "regression", ("target",)),
    "column": (np.linspace(0, 1, N)[:, None], "regression", ("target",)),
    "matrix": (RNG.normal(size=(N, 2)), "regression", ("0", "1")),
    "whole matrix": (RNG.integers(0, 9, (N, 2)), "regression", ("0", "1")),
    "zeros and ones": (MANY, "multilabel", ("0", "1", "2")),
    "true and false": (MANY.astype(bool), "multilabel", ("0", "1", "2")),
}


@pytest.mark.parametrize("case", AUTO)
def test_auto_tells_the_task(case):
    y, task, labels = AUTO[case]
    found = read(y)
    assert (found.task, found.labels) == (task, labels)
    wanted = (N,) if task in ("classification", "binary") else (N, len(labels))
    assert found.y["train"].shape == wanted
    assert found.y["train"].dtype == (np.int64 if len(wanted) == 1 else np.float32)
    if task in ("multilabel", "regression"):
        values = np.asarray(y, np.float64).reshape(N, -1)
        np.testing.assert_allclose(found.y["train"], values, rtol=1e-6)


def test_a_named_task_wins_over_auto():
    assert read(np.arange(N) % 2, task="classification").task == "classification"
    whole = read(np.arange(N) % 4, task="regression")
    assert (whole.task, whole.labels, whole.y["train"].shape) == ("regression", ("target",), (N, 1))
    one_hot = read(np.eye(4)[np.arange(N) % 4], task="multilabel", labels=("a", "b", "c", "d"))
    assert (one_hot.task, one_hot.labels) == ("multilabel", ("a", "b", "c", "d"))


def test_numbers_that_are_names_are_classes_in_their_order():
    found = read(np.array([10, 3, 5, 9] * 10), numbers_are_names=True)
    assert (found.task, found.labels) == ("classification", ("3", "5", "9", "10"))
    np.testing.assert_array_equal(found.y["train"][:4], [3, 0, 1, 2])
    as_floats = read(np.array([10.0, 3, 5, 9] * 10), numbers_are_names=True)
    assert as_floats.labels == found.labels
    assert read(np.array([-1, 1] * 20), numbers_are_names=True).labels == ("-1", "1")
    many = read(np.arange(N), numbers_are_names=True, columns=("price",))
    assert (many.task, many.labels) == ("regression", ("price",))


def test_floats_of_few_values_are_doubted():
    (note,) = read(np.array([1.0, 2.5] * 20)).notes
    assert "2 different values" in note
    assert not read(np.linspace(0, 1, N)).notes
    assert not read(np.array([1.0, 2.5] * 20), task="regression").notes


BAD = {
    "three classes": (np.arange(N) % 3, {"task": "binary"}, "two classes, and here are 3"),
    "half a label": (MANY * 0.5, {"task": "multilabel"}, "neither 0 nor 1"),
    "no label": (np.where(MANY == 1, np.nan, 0), {"task": "multilabel"}, "nan is neither"),
    "text of labels": (MANY.astype(str), {"task": "multilabel"}, "zeros and ones"),
    "one hot": (np.eye(4)[np.arange(N) % 4], {}, "one-hot"),
    "text of numbers": (np.array(["1.5"] * N), {"task": "regression"}, "are numbers"),
    "NaN": (np.r_[np.nan, np.linspace(0, 1, N - 1)], {}, "nan is NaN"),
    "infinite": (np.r_[np.inf, np.linspace(0, 1, N - 1)], {}, "inf is NaN or infinite"),
    "beyond float32": (np.r_[1e300, np.linspace(0, 1, N - 1)], {}, "infinite"),
    "short": (np.linspace(0, 1, N - 1), {}, "40 samples and 39 labels"),
    "three axes": (RNG.normal(size=(N, 2, 2)), {"task": "regression"}, "are numbers"),
    "labels short": (RNG.normal(size=(N, 2)), {"labels": ("a",)}, "1 labels for 2 columns"),
    "labels twice": (MANY, {"labels": ("a", "a", "b")}, "stands twice"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_targets_are_explained(case):
    y, options, what = BAD[case]
    with pytest.raises(DataError, match=what) as caught:
        read(y, **options)
    assert caught.value.where
    assert caught.value.fix


def test_parts_of_different_width_are_refused():
    raw = {"train": RNG.normal(size=(N, 2)), "test": RNG.normal(size=(N, 3))}
    counts, where = dict.fromkeys(raw, N), dict.fromkeys(raw, "file")
    with pytest.raises(DataError, match="3 columns, and the training targets 2"):
        read_targets(raw, counts=counts, where=where)


def test_statistics_are_numpys_and_a_constant_is_refused():
    y = RNG.normal(5, 3, (N, 2)).astype(np.float32)
    mean, std = statistics(y, ("a", "b"), "data")
    np.testing.assert_allclose(mean, y.astype(np.float64).mean(0))
    np.testing.assert_allclose(std, y.astype(np.float64).std(0))
    y[:, 1] = 0.1
    with pytest.raises(DataError, match=r"'b' is 0\.1 for every"):
        statistics(y, ("a", "b"), "data")


def write(folder: Path, **arrays):
    np.savez(folder / "data.npz", **arrays)
    return load_source(NpzData(path=Path("data.npz")), folder)


def test_a_regression_comes_out_of_an_npz_file(tmp_path):
    x = RNG.normal(size=(100, 4)).astype(np.float32)
    y = np.c_[x[:, 0] * 7 + 100, x[:, 1]]
    data = write(tmp_path, x=x, y=y)
    assert (data.task, data.labels, data.train.y.shape) == ("regression", ("0", "1"), (72, 2))
    np.testing.assert_allclose(data.target_mean, data.train.y.mean(0), rtol=1e-5)
    np.testing.assert_allclose(data.target_std, data.train.y.std(0), rtol=1e-5)
    every = np.concatenate([split.y for split in data.splits.values()])
    assert len(np.unique(every[:, 0])) == 100  # each sample stands in one split
    assert data.warnings == ()


def test_labels_come_out_of_an_npz_file_with_their_warnings(tmp_path):
    y = (np.random.default_rng(1).random((400, 4)) < 0.5).astype(np.uint8)
    y[:, 2] = 0
    y[:, 3] = np.arange(400) % 100 == 0
    data = write(tmp_path, x=RNG.normal(size=(400, 4)).astype(np.float32), y=y)
    assert (data.task, data.classes) == ("multilabel", 4)
    told = "\n".join(data.warnings)
    assert "no training sample has the label '2'" in told
    assert "out of balance: of 289 training samples have '3'" in told
    assert "test split has no sample of '2'" in told


def test_a_constant_target_and_a_strange_split_are_told(tmp_path):
    x = RNG.normal(size=(60, 4)).astype(np.float32)
    with pytest.raises(DataError, match=r"is 3.5 for every training sample"):
        write(tmp_path, x=x, y=np.full(60, 3.5))
    y = RNG.normal(size=60)
    data = write(tmp_path, x_train=x, y_train=y, x_test=x + 1, y_test=y * 100)
    assert any("scaled differently" in warning for warning in data.warnings)


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 300), st.integers(1, 6), st.floats(0.1, 0.45), st.integers(0, 99))
def test_splits_of_labels_keep_every_groups_share(n, labels, share, seed):
    from edgekd.data.dataset import Split

    rng = np.random.default_rng(seed)
    y = (rng.random((n, labels)) < rng.uniform(0.05, 0.6, labels)).astype(np.float32)
    split = Split(np.arange(n, dtype=np.float32)[:, None], y)
    kept, taken = split_off(
        split,
        share,
        seed,
        tuple(map(str, range(labels))),
        what="test",
        where="x",
        task="multilabel",
    )
    assert sorted([*kept.x[:, 0], *taken.x[:, 0]]) == list(range(n))
    assert abs(len(taken) - share * n) <= 1
    rarest = y[:, int(y.sum(0).argmin())].astype(bool)  # its samples are one group
    assert abs(rarest[taken.x[:, 0].astype(int)].sum() - share * rarest.sum()) <= 1.01
