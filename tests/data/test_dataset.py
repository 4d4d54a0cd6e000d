"""Saving and loading a data set, and its fingerprint."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edgekd.data.assemble import assemble
from edgekd.data.dataset import Split, fingerprint, load, save
from edgekd.errors import DataError


def make(seed: int = 0, labels: tuple[str, ...] = ("a", "b")):
    rng = np.random.default_rng(seed)
    splits = {
        name: Split(rng.integers(0, 256, (n, 3, 4, 5), dtype=np.uint8), np.arange(n) % 2)
        for name, n in (("train", 20), ("validation", 6), ("test", 8))
    }
    return assemble("made", splits, labels)


def test_saved_data_set_comes_back_memory_mapped(tmp_path):
    data = make()
    save(data, tmp_path / "new" / "folder")
    back = load(tmp_path / "new" / "folder")
    for name, split in data.splits.items():
        assert isinstance(back.splits[name].x, np.memmap)
        np.testing.assert_array_equal(back.splits[name].x, split.x)
        np.testing.assert_array_equal(back.splits[name].y, split.y)
    for field in ("name", "spec", "labels", "fingerprint", "warnings", "classes"):
        assert getattr(back, field) == getattr(data, field)
    assert fingerprint(back.splits, back.labels) == data.fingerprint
    assert not list(tmp_path.rglob("*.tmp"))


def test_fingerprint_sees_every_change():
    data = make()
    assert make().fingerprint == data.fingerprint
    prints = {data.fingerprint, make(1).fingerprint, make(labels=("a", "c")).fingerprint}
    for name in data.splits:
        for part in "xy":
            x, y = data.splits[name].x.copy(), data.splits[name].y.copy()
            changed = x if part == "x" else y
            changed.flat[-1] ^= 1
            prints.add(fingerprint(data.splits | {name: Split(x, y)}, data.labels))
    wider = {n: Split(s.x.astype(np.float32), s.y) for n, s in data.splits.items()}
    turned = {n: Split(s.x.reshape(-1, 3, 5, 4), s.y) for n, s in data.splits.items()}
    swapped = {
        n: data.splits[m] for n, m in zip(data.splits, ("train", "test", "validation"), strict=True)
    }
    prints |= {fingerprint(splits, data.labels) for splits in (wider, turned, swapped)}
    assert len(prints) == 3 + 6 + 3


def test_fingerprint_does_not_depend_on_byte_order_or_strides():
    data = make()
    other = {n: Split(np.asfortranarray(s.x), s.y.astype(">i8")) for n, s in data.splits.items()}
    assert fingerprint(other, data.labels) == data.fingerprint


def with_targets(task: str, width: int = 2):
    data = make(labels=("a", "b"))
    rng = np.random.default_rng(3)
    splits = {}
    for name, split in data.splits.items():
        y = rng.normal(size=(len(split), width)).astype(np.float32)
        splits[name] = Split(split.x, y if task == "regression" else (y > 0).astype(np.float32))
    statistics = {"target_mean": (1.5, -2.0), "target_std": (3.0, 0.25)}
    return replace(data, task=task, **splits, **(statistics if task == "regression" else {}))


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_the_task_and_its_targets_are_kept(tmp_path, task):
    data = with_targets(task)
    save(data, tmp_path)
    back = load(tmp_path)
    assert (back.task, back.target_mean, back.target_std) == (
        task,
        data.target_mean,
        data.target_std,
    )
    np.testing.assert_array_equal(back.train.y, data.train.y)
    spec = back.model_spec("net")
    assert (spec.task, spec.labels) == (task, ("a", "b"))
    if task == "regression":
        raw = spec.raw_targets(np.array([[2.0, -4.0]]))
        np.testing.assert_allclose(raw, [[2 * 3 + 1.5, -4 * 0.25 - 2]])


def test_data_saved_before_there_were_tasks_is_a_classification(tmp_path):
    save(make(), tmp_path)
    path = tmp_path / "dataset.json"
    old = json.loads(path.read_text())
    for field in ("task", "target_mean", "target_std"):
        del old[field]
    path.write_text(json.dumps(old))
    assert load(tmp_path).task == "classification"


def test_targets_of_another_width_are_refused(tmp_path):
    save(with_targets("multilabel", width=3), tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path)


def cut_file(folder):
    path = folder / "test_x.npy"
    path.write_bytes(path.read_bytes()[:200])


def remove_file(folder):
    (folder / "train_y.npy").unlink()


def cut_json(folder):
    path = folder / "dataset.json"
    path.write_text(path.read_text()[:50])


def other_version(folder):
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))


def other_array(folder):
    np.save(folder / "test_y.npy", np.zeros(3, np.int64))


def pickled_array(folder):
    np.save(folder / "test_y.npy", np.array([{}], object), allow_pickle=True)


@pytest.mark.parametrize(
    "spoil", [cut_file, remove_file, cut_json, other_version, other_array, pickled_array]
)
def test_broken_folder_is_refused(tmp_path, spoil):
    save(make(), tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert "dataset.json" in caught.value.where
    assert caught.value.fix
