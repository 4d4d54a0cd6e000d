""".npz files: what is accepted, and what every bad one is told."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.config.data import Augment, NpzData
from edgekd.data import npz_file
from edgekd.data.sources import load_source, source_fingerprint
from edgekd.errors import DataError

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
IMAGES = RNG.integers(0, 256, (60, 8, 6), dtype=np.uint8)
ROWS = RNG.normal(size=(60, 5)).astype(np.float32)


def read(folder: Path, arrays: dict, **options):
    np.savez(folder / "data.npz", **arrays)
    return load_source(NpzData(path=Path("data.npz"), **options), folder)


def refused(folder: Path, arrays: dict, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        read(folder, arrays, **options)
    assert caught.value.where
    assert caught.value.fix
    return caught.value


def changed(array: np.ndarray, at, value) -> np.ndarray:
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((60, 8, 6), "auto", (1, 8, 6)),
        ((60, 8, 6), "NHWC", (1, 8, 6)),
        ((60, 8, 6, 1), "auto", (1, 8, 6)),
        ((60, 8, 6, 3), "auto", (3, 8, 6)),
        ((60, 4, 8, 6), "auto", (4, 8, 6)),
        ((60, 3, 8, 4), "NCHW", (3, 8, 4)),
        ((60, 3, 8, 4), "NHWC", (4, 3, 8)),
        ((60, 8, 6, 2), "NHWC", (2, 8, 6)),
        ((60, 5), "auto", (5,)),
    ],
)
def test_layouts(tmp_path, shape, layout, expected):
    x = np.arange(np.prod(shape)).reshape(shape) % 251
    data = read(tmp_path, {"x": x, "y": Y}, layout=layout)
    assert data.spec.shape == expected
    assert data.spec.kind == ("row" if len(expected) == 1 else "image")
    last = len(shape) == 4 and shape[3] == expected[0] and shape[1] != expected[0]
    channels_first = (x.transpose(0, 3, 1, 2) if last else x).reshape(60, *expected)
    found = np.concatenate([split.x for split in data.splits.values()])
    assert sorted(map(bytes, found)) == sorted(
        map(bytes, np.ascontiguousarray(channels_first, found.dtype))
    )


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (IMAGES, np.uint8),
        (IMAGES.astype(np.int64), np.uint8),
        (IMAGES.astype(np.float64), np.uint8),
        (IMAGES > 99, np.uint8),
        (IMAGES.astype(np.int16) - 9, np.float32),
        (IMAGES.astype(np.uint16) * 9, np.float32),
        (IMAGES / 255, np.float32),
        (IMAGES.astype(np.float16) + 0.5, np.float32),
        (ROWS.astype(np.float64), np.float32),
        (IMAGES[:, 0], np.float32),
    ],
)
def test_types(tmp_path, x, dtype):
    assert read(tmp_path, {"x": x, "y": Y}).train.x.dtype == dtype


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(12, 60), min_size=2, max_size=6),
    validation=st.floats(0.1, 0.4),
    test=st.floats(0.1, 0.4),
    seed=st.integers(0, 1000),
)
def test_splits_are_disjoint_whole_stratified_and_seeded(
    tmp_path_factory, counts, validation, test, seed
):
    y = RNG.permutation(np.repeat(np.arange(len(counts)), counts))
    x = np.arange(len(y), dtype=np.float32)[:, None]
    options = {"validation": validation, "test": test, "split_seed": seed}
    folder = tmp_path_factory.mktemp("split")
    data = read(folder, {"x": x, "y": y}, **options)
    indices = {name: split.x[:, 0].astype(int) for name, split in data.splits.items()}
    assert sorted(np.concatenate(list(indices.values()))) == list(range(len(y)))
    for name, index in indices.items():
        np.testing.assert_array_equal(y[index], data.splits[name].y)
    taken = {"test": test * len(y), "validation": validation * (len(y) - len(indices["test"]))}
    for name, expected in taken.items():
        assert abs(len(indices[name]) - expected) <= 1
        per_class = np.bincount(data.splits[name].y, minlength=len(counts))
        share = np.array(counts) * len(indices[name]) / len(y)
        np.testing.assert_allclose(per_class, share, atol=2)
    assert read(folder, {"x": x, "y": y}, **options).fingerprint == data.fingerprint


def test_split_seed_changes_the_split(tmp_path):
    arrays = {"x": ROWS, "y": Y}
    prints = {read(tmp_path, arrays, split_seed=seed).fingerprint for seed in range(3)}
    assert len(prints) == 3


def test_given_parts_are_kept(tmp_path):
    arrays = {"x_train": ROWS[:40], "y_train": Y[:40], "x_test": ROWS[40:], "y_test": Y[40:]}
    data = read(tmp_path, arrays)
    np.testing.assert_array_equal(data.test.x, ROWS[40:])
    assert (len(data.train), len(data.validation)) == (34, 6)
    arrays |= {"x_val": ROWS[30:40], "y_val": Y[30:40]}
    data = read(tmp_path, arrays)
    np.testing.assert_array_equal(data.validation.y, Y[30:40])
    np.testing.assert_array_equal(data.train.x, ROWS[:40])
    assert "10 of 10 validation samples" in data.warnings[0]


def test_parts_of_two_types_become_one(tmp_path):
    arrays = {"x_train": IMAGES, "y_train": Y, "x_test": IMAGES + 0.5, "y_test": Y}
    data = read(tmp_path, arrays)
    assert {split.x.dtype for split in data.splits.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", ["U", "S"])
def test_string_labels_are_numbered_in_order(tmp_path, kind):
    names = np.array(["cat", "ant", "bee"]).astype(kind)[Y]
    data = read(tmp_path, {"x": np.arange(60.0)[:, None], "y": names})
    assert data.labels == ("ant", "bee", "cat")
    index = data.train.x[:, 0].astype(int)
    np.testing.assert_array_equal(data.train.y, np.array([2, 0, 1])[Y[index]])


def test_given_labels_name_and_order_the_classes(tmp_path):
    data = read(tmp_path, {"x": ROWS, "y": Y}, labels=("no", "yes", "both"))
    assert data.labels == ("no", "yes", "both")
    strings = np.array(["no", "yes", "both"])[Y]
    data = read(tmp_path, {"x": np.arange(60.0)[:, None], "y": strings}, labels=data.labels)
    np.testing.assert_array_equal(data.train.y, Y[data.train.x[:, 0].astype(int)])


@pytest.mark.parametrize("y", [Y[:, None], Y.astype(np.float64), Y.astype(np.uint8)])
def test_labels_in_other_dress(tmp_path, y):
    data = read(tmp_path, {"x": ROWS, "y": y})
    assert data.labels == ("0", "1", "2")
    assert data.train.y.dtype == np.int64


def test_fingerprint_is_the_files(tmp_path):
    read(tmp_path, {"x": ROWS, "y": Y})
    expected = hashlib.sha256((tmp_path / "data.npz").read_bytes()).hexdigest()
    assert source_fingerprint(NpzData(path=Path("data.npz")), tmp_path) == expected
    assert source_fingerprint(NpzData(path=tmp_path / "data.npz"), Path("/")) == expected


def test_compressed_file_is_read(tmp_path):
    np.savez_compressed(tmp_path / "data.npz", x=ROWS, y=Y)
    assert load_source(NpzData(path=Path("data.npz")), tmp_path).spec.shape == (5,)


BAD = {
    "short labels": ({"x": ROWS, "y": Y[:-1]}, {}, "60 samples and 59 labels", "y"),
    "half labels": (
        {"x": ROWS, "y": changed(Y * 1.0, 7, 0.5)},
        {"task": "classification"},
        "0.5 is not a whole",
        "sample 7",
    ),
    "negative": ({"x": ROWS, "y": changed(Y, 9, -1)}, {}, "-1 is negative", "sample 9"),
    "NaN label": ({"x": ROWS, "y": changed(Y * 1.0, 3, np.nan)}, {}, "nan is NaN", "sample 3"),
    "huge label": ({"x": ROWS, "y": changed(Y, 3, 2**40)}, {}, "above 1,000,000", "sample 3"),
    "nameless": ({"x": ROWS, "y": Y}, {"labels": ("a", "b")}, "Label 2 has no name", "sample 2"),
    "unknown": (
        {"x": ROWS, "y": np.array(["a", "b", "c"])[Y]},
        {"labels": ("a", "c")},
        "'b' is not among the labels a, c",
        "sample 1",
    ),
    "twice named": ({"x": ROWS, "y": Y}, {"labels": ("a", "b", "b")}, "stands twice", "labels"),
    "one hot": ({"x": ROWS, "y": np.eye(3)[Y]}, {}, r"these are \(60, 3\)", "array y"),
    "scalar label": ({"x": ROWS, "y": np.int64(3)}, {}, r"these are \(\)", "array y"),
    "dates": ({"x": ROWS, "y": Y.astype("datetime64[D]")}, {}, "datetime64", "array y"),
    "bad bytes": ({"x": ROWS, "y": np.array([b"\xff", b"a", b"b"])[Y]}, {}, "UTF-8", "array y"),
    "mixed": (
        {"x": ROWS, "y": Y, "x_test": ROWS, "y_test": Y.astype(str)},
        {},
        "Some labels are numbers",
        "y_test",
    ),
    "NaN": ({"x": changed(ROWS, (41, 2), np.nan), "y": Y}, {}, "holds NaN", "array x, sample 41"),
    "inf": ({"x": changed(ROWS, (8, 0), np.inf), "y": Y}, {}, "infinite", "array x, sample 8"),
    "too large": (
        {"x": changed(ROWS.astype(np.float64), 8, 1e300), "y": Y},
        {},
        "infinite",
        "sample 8",
    ),
    "complex": ({"x": ROWS * 1j, "y": Y}, {}, "complex", "array x"),
    "strings": ({"x": ROWS.astype(str), "y": Y}, {}, "Samples are numbers", "array x"),
    "1-D": ({"x": ROWS[:, 0], "y": Y}, {}, r"These samples are \(60,\)", "array x"),
    "5-D": ({"x": IMAGES[..., None, None], "y": Y}, {}, r"\(60, 8, 6, 1, 1\)", "array x"),
    "empty": ({"x": ROWS[:0], "y": Y[:0]}, {}, r"\(0, 5\)", "array x"),
    "no pixels": ({"x": IMAGES[:, :0], "y": Y}, {}, r"\(60, 0, 6\)", "array x"),
    "two axes": ({"x": IMAGES[:, :3, :4, None], "y": Y}, {}, "two axes could be", "array x"),
    "no axis": ({"x": np.zeros((60, 8, 8, 5)), "y": Y}, {}, "no axis of 1, 3 or 4", "array x"),
    "shapes": (
        {"x_train": ROWS, "y_train": Y, "x_test": ROWS[:, :4], "y_test": Y},
        {},
        r"x_test are \(4,\), and those of x_train are \(5,\)",
        "data.npz",
    ),
    "one class": ({"x": ROWS, "y": Y * 0}, {}, "one class only, '0'", "array y"),
    "one string": ({"x": ROWS, "y": np.full(60, "cat")}, {}, "one class only, 'cat'", "array y"),
    "gap": ({"x": ROWS, "y": Y * 2}, {}, "class '1', '3'", "array y"),
    "no training sample": (
        {"x_train": ROWS, "y_train": Y, "x_test": ROWS, "y_test": Y + 1},
        {},
        "class '3'",
        "array y_train",
    ),
    "label without samples": (
        {"x": ROWS, "y": Y},
        {"labels": ("a", "b", "c", "d")},
        "class 'd'",
        "array y",
    ),
    "single sample": ({"x": ROWS, "y": changed(Y, 0, 3)}, {}, r"'3' \(1\)", "array y"),
    "few samples": ({"x": ROWS[:12], "y": Y[:12]}, {}, "too few to split 15% off", "array y"),
    "no y": ({"x": ROWS, "labels": Y}, {}, "Array y is missing", "has labels, x"),
    "no x": ({"images": ROWS, "y": Y}, {}, "Array x is missing", "has images, y"),
    "nothing": ({}, {}, "Array x is missing", "no array"),
    "no y_test": ({"x": ROWS, "y": Y, "x_test": ROWS}, {}, "Array y_test is missing", "x_test"),
    "no x_val": ({"x": ROWS, "y": Y, "y_val": Y}, {}, "Array x_val is missing", "y_val"),
    "x twice": ({"x": ROWS, "y": Y, "x_train": ROWS, "y_train": Y}, {}, "Both x and", "x_train"),
    "objects": ({"x": ROWS, "y": Y.astype(object)}, {}, "Python objects", "array y"),
    "rows moved": ({"x": ROWS, "y": Y}, {"augment": Augment(shift=1)}, "Only images", "augment"),
    "moved away": (
        {"x": IMAGES, "y": Y},
        {"augment": Augment(shift=6)},
        "shift of 6 leaves nothing of images of 8 x 6",
        "data.augment.shift",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_explained(tmp_path, case):
    arrays, options, what, where = BAD[case]
    error = refused(tmp_path, arrays, **options)
    with pytest.raises(DataError, match=what):
        raise error
    assert where in error.where


def spoiled(folder: Path, content: bytes) -> DataError:
    (folder / "data.npz").write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_source(NpzData(path=Path("data.npz")), folder)
    assert str(folder / "data.npz") in caught.value.where
    return caught.value


def test_missing_file(tmp_path):
    for call in (load_source, source_fingerprint):
        with pytest.raises(DataError, match="no such data file") as caught:
            call(NpzData(path=Path("data.npz")), tmp_path)
        assert caught.value.where == str(tmp_path / "data.npz")


def test_foreign_truncated_and_altered_files(tmp_path):
    np.savez_compressed(tmp_path / "good.npz", x=ROWS, y=Y)
    good = (tmp_path / "good.npz").read_bytes()
    middle = len(good) // 3
    for content in (
        b"",
        b"x,y\n1,2\n",
        good[: len(good) // 2],
        good[:middle] + bytes(64) + good[middle + 64 :],
    ):
        assert "not an .npz file" in spoiled(tmp_path, content).what


def test_single_array_file_and_zip_of_something_else(tmp_path):
    np.save(tmp_path / "one.npy", ROWS)
    assert "not an .npz" in spoiled(tmp_path, (tmp_path / "one.npy").read_bytes()).what
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("x.npy", b"hello, I am no array")
    assert "not an .npz" in spoiled(tmp_path, (tmp_path / "other.zip").read_bytes()).what


def header_only(shape: tuple[int, ...]) -> bytes:
    import io

    file = io.BytesIO()
    description = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, description)
    return file.getvalue()


def test_array_that_claims_more_than_the_file_holds(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w") as archive:
        archive.writestr("x.npy", header_only((10**6, 10**6)) + bytes(80))
        archive.writestr("y.npy", header_only((10,)) + bytes(80))
    error = spoiled(tmp_path, (tmp_path / "bomb.zip").read_bytes())
    assert "x.npy claims 8000000000000 bytes and holds" in error.where


def test_array_larger_than_the_free_memory(tmp_path, monkeypatch):
    import psutil

    class Memory:
        available = ROWS.nbytes

    np.savez(tmp_path / "data.npz", x=ROWS, y=Y)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    with pytest.raises(DataError, match="GB of memory") as caught:
        load_source(NpzData(path=Path("data.npz")), tmp_path)
    assert "the largest is x, (60, 5) float32" in caught.value.where


def test_pickle_in_the_file_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    np.savez(tmp_path / "data.npz", x=ROWS, y=np.array([Trap()] * 60, object))
    with pytest.raises(DataError, match="Python objects"):
        npz_file.read_arrays(tmp_path / "data.npz", ["x", "y"])
    assert not (tmp_path / "ran").exists()


def test_full_disk_is_no_silent_half_file(tmp_path, monkeypatch):
    """Saving writes beside and renames: a failure leaves no array behind."""
    from edgekd.data.dataset import save

    data = read(tmp_path, {"x": ROWS, "y": Y})

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        save(data, tmp_path / "saved")
    assert list((tmp_path / "saved").iterdir()) == []
