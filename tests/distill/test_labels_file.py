"""Soft labels that were made elsewhere: what fits is taken in the data's order, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from edgekd.config.data import Augment
from edgekd.data.assemble import assemble
from edgekd.data.dataset import Dataset, Split
from edgekd.distill.labels_file import read, write
from edgekd.errors import DataError, EdgekdError, StageError
from edgekd.spec import Task

LABELS = ("ant", "bee", "cat")
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (12, 3))
NONE = Augment()


def data(task: Task = "classification") -> Dataset:
    rng = np.random.default_rng(1)
    splits = {}
    for name, n in (("train", 12), ("validation", 6), ("test", 6)):
        y: Any = np.arange(n) % 3
        if task == "multilabel":
            y = (rng.random((n, 3)) < 0.5).astype(np.float32)
        if task == "regression":
            y = rng.normal(5, 2, (n, 3)).astype(np.float32)
        ids = np.array([f"{name}/{i}.png" for i in range(n)])
        splits[name] = Split(rng.normal(size=(n, 4)).astype(np.float32), y, ids)
    return assemble("d", splits, LABELS, task=task)


def saved(folder: Path, **arrays: Any) -> Path:
    whole = {"labels": np.array(LABELS), "fingerprint": np.array(data().fingerprint)} | arrays
    np.savez(folder / "soft.npz", **{k: v for k, v in whole.items() if v is not None})
    return folder / "soft.npz"


def test_logits_come_as_they_are(tmp_path: Path):
    path = saved(tmp_path, train_logits=LOGITS, validation_logits=LOGITS[:6])
    found = read(path, data(), NONE, 0)
    np.testing.assert_array_equal(found.train, LOGITS[None])
    np.testing.assert_array_equal(found.validation, LOGITS[:6])
    assert found.test is None and found.notes == ()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_probabilities_become_logits_of_the_same_probabilities(tmp_path: Path, kind: Any):
    p = softmax(LOGITS, axis=1).astype(kind)
    found = read(saved(tmp_path, train_probabilities=p), data(), NONE, 0)
    np.testing.assert_allclose(softmax(found.train[0], axis=1), p / p.sum(1, keepdims=True), 1e-3)
    np.testing.assert_allclose(
        log_softmax(found.train[0], axis=1), log_softmax(LOGITS, axis=1), atol=1e-2
    )


def test_a_probability_of_zero_stays_finite(tmp_path: Path):
    p = np.eye(3)[np.arange(12) % 3]
    found = read(saved(tmp_path, train_probabilities=p), data(), NONE, 0)
    assert np.isfinite(found.train).all()
    np.testing.assert_allclose(softmax(found.train[0] / 4, axis=1), p, atol=1e-4)


def test_labels_in_another_order_are_brought_into_ours(tmp_path: Path):
    path = saved(
        tmp_path, train_logits=LOGITS[:, [2, 0, 1]], labels=np.array(["cat", "ant", "bee"])
    )
    found = read(path, data(), NONE, 0)
    np.testing.assert_array_equal(found.train[0], LOGITS)
    assert "another order" in found.notes[0]


def test_samples_are_found_by_their_names(tmp_path: Path):
    order = np.random.default_rng(2).permutation(12)
    ids = np.array([f"train/{i}.png" for i in order] + ["somebody/else.png"])
    answers = np.concatenate([LOGITS[order], np.zeros((1, 3))])
    path = saved(tmp_path, train_logits=answers, train_ids=ids, fingerprint=None)
    np.testing.assert_array_equal(read(path, data(), NONE, 0).train[0], LOGITS)


def test_several_labels_are_the_logits_of_their_probabilities(tmp_path: Path):
    ours = data("multilabel")
    p = 1 / (1 + np.exp(-LOGITS))
    path = saved(tmp_path, train_probabilities=p, fingerprint=np.array(ours.fingerprint))
    np.testing.assert_allclose(read(path, ours, NONE, 0).train[0], LOGITS, atol=1e-9)


def test_values_of_a_regression_are_standardised(tmp_path: Path):
    ours = data("regression")
    y = np.asarray(ours.train.y, np.float64)
    path = saved(tmp_path, train_values=y, fingerprint=np.array(ours.fingerprint))
    found = read(path, ours, NONE, 0).train[0]
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_logits": LOGITS[:11]}, "There are 11 soft labels, and 12 samples"),
        ({"train_logits": LOGITS[:, :2]}, "2 columns, and the data 3"),
        ({"train_logits": np.where(LOGITS > 4, np.nan, LOGITS)}, "A soft label is nan"),
        ({"train_logits": np.where(LOGITS > 4, np.inf, LOGITS)}, "A soft label is inf"),
        ({"train_logits": LOGITS.astype(str)}, "Soft labels are numbers"),
        ({"train_logits": None, "train_probabilities": LOGITS}, "These are no probabilities"),
        ({"train_probabilities": softmax(LOGITS, axis=1)}, "Both train_logits and"),
        ({"train_logits": None, "soft": LOGITS}, "no soft labels of the training samples"),
        ({"labels": None}, "does not name its classes"),
        ({"labels": np.array(["ant", "bee", "dog"])}, "classes are not those of the data"),
        ({"fingerprint": np.array("0" * 64)}, "made for other data"),
        ({"fingerprint": None}, "whose soft labels these are"),
        ({"train_ids": np.array([f"{i}.png" for i in range(12)])}, "12 of 12 train samples"),
        ({"train_ids": np.array(["train/0.png"] * 12)}, "two soft labels"),
        ({"train_logits": np.stack([LOGITS] * 2)}, "have 2 views, and nothing says which"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, change: dict[str, Any], words: str):
    path = saved(tmp_path, **({"train_logits": LOGITS} | change))
    with pytest.raises(StageError, match=words) as caught:
        read(path, data(), NONE, 0)
    assert "soft.npz" in caught.value.where


def test_no_pickle_is_read_and_no_half_file(tmp_path: Path):
    path = saved(tmp_path, train_logits=LOGITS, labels=np.array(LABELS, object))
    with pytest.raises(DataError, match="Python objects"):
        read(path, data(), NONE, 0)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="not a whole one"):
        read(path, data(), NONE, 0)
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "other.npz", data(), NONE, 0)


def test_what_is_written_is_read_again(tmp_path: Path):
    views, augment = np.stack([LOGITS, LOGITS + 1, LOGITS - 1]), Augment(mixup=0.2, views=3)
    write(tmp_path / "w.npz", views, data(), augment, 5, validation=LOGITS[:6], test=LOGITS[6:])
    found = read(tmp_path / "w.npz", data(), augment, 5)
    np.testing.assert_array_equal(found.train, views)
    np.testing.assert_array_equal(found.test, LOGITS[6:])
    others = [(augment, 6), (Augment(mixup=0.3, views=3), 5), (NONE, 5)]
    for other, seed in others:
        with pytest.raises(EdgekdError, match="other variations"):
            read(tmp_path / "w.npz", data(), other, seed)


def test_answers_to_samples_as_they_are_go_with_variations_but_not_with_mixed_samples(
    tmp_path: Path,
):
    write(tmp_path / "w.npz", LOGITS[None], data(), NONE, 0)
    (note,) = read(tmp_path / "w.npz", data(), Augment(noise=0.1), 3).notes
    assert "as they are" in note
    with pytest.raises(StageError, match="mixup"):
        read(tmp_path / "w.npz", data(), Augment(mixup=0.2), 3)
