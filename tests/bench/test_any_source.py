"""Test data of every source for files of edgekd and of others, against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_models import INPUT, OUTPUT, Tiny

from edgekd.bench.jobs import bench_file
from edgekd.config.data import DigitsData
from edgekd.config.stages import BenchSettings, OnnxInput
from edgekd.data.dataset import Dataset
from edgekd.data.sources import load_source
from edgekd.errors import ConfigError, DataError, EdgekdError, StageError

ONE = BenchSettings(min_runs=5, min_seconds=0.01, threads=(1,))
GIVEN = OnnxInput(scale=0.25, mean=(1.0,), std=(2.0,))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_source(DigitsData(), Path.cwd())


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    return Tiny(shape=(1, 8, 8), classes=10)


def score(tiny: Tiny, data: Dataset, x: np.ndarray) -> float:
    return float((tiny.logits(x).argmax(1) == data.test.y).mean())


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_a_foreign_files_input_is_made_as_the_options_say(form, tiny, data, tmp_path):
    path = tiny.write(tmp_path, form, "float32", None)
    x = np.asarray(data.test.x, np.float64)
    (row,) = bench_file(path, ONE, "digits", given=GIVEN)
    assert row.accuracy is not None
    assert row.accuracy.value == pytest.approx(score(tiny, data, (x * 0.25 - 1) / 2))
    assert row.accuracy.n == len(x) and row.accuracy.split == "test"
    (row,) = bench_file(path, ONE, "digits")
    mean, std = data.spec.mean[0], data.spec.std[0]
    assert row.accuracy is not None
    assert row.accuracy.value == pytest.approx(score(tiny, data, (x - mean) / std))
    assert "does not tell how its input is made" in row.warnings[0]


def test_a_foreign_int8_file_is_fed_by_its_own_scales(tiny, data, tmp_path):
    """The numbers that the file computes with: a step of 0.05 in, one of 0.1 out."""
    path = tiny.write(tmp_path, "tflite", "int8", None)
    given = OnnxInput(scale=1 / 4, mean=(2.0,))
    (row,) = bench_file(path, ONE, "digits", given=given)
    x = np.asarray(data.test.x, np.float64) / 4 - 2
    q = np.clip(np.rint(x / INPUT.scale) + INPUT.zero_point, -128, 127) - INPUT.zero_point
    scale = np.abs(tiny.weight).max() / 127
    weight = np.rint(tiny.weight / scale)
    bias = np.rint(tiny.bias / (scale * INPUT.scale))
    logits = (q.reshape(len(x), -1) @ weight.T + bias) * scale * INPUT.scale
    steps = np.clip(np.rint(logits / OUTPUT.scale) + OUTPUT.zero_point, -128, 127)
    wanted = float((steps.argmax(1) == data.test.y).mean())
    assert row.accuracy is not None
    assert row.accuracy.value == pytest.approx(wanted, abs=3 / len(x))  # rounding at ties


def test_what_does_not_fit_a_foreign_file(tiny, tmp_path):
    path = tiny.write(tmp_path, "onnx", "float32", None)
    generator = np.random.default_rng(0)
    np.savez(
        tmp_path / "d.npz",
        x=generator.integers(0, 17, (90, 8, 8)).astype(np.uint8),
        y=np.arange(90) % 3,
    )
    with pytest.raises(DataError, match="10 answers, and the data has 3 labels"):
        bench_file(path, ONE, tmp_path / "d.npz")
    with pytest.raises(StageError, match="a sample of the data is") as caught:
        bench_file(Tiny(shape=(1, 9, 9)).write(tmp_path, "onnx", "float32", None), ONE, "digits")
    assert "--layout" in caught.value.fix


def test_a_file_of_edgekd_takes_no_options(tiny, tmp_path):
    with pytest.raises(ConfigError, match="tells itself"):
        bench_file(tiny.write(tmp_path, "onnx", "float32"), ONE, "digits", given=GIVEN)


def test_a_file_of_edgekd_on_a_named_source_and_classes_in_another_order(tiny, data, tmp_path):
    tiny = Tiny(shape=(1, 8, 8), classes=10, mean=3.0, std=5.0)
    order = [f"{(i * 3) % 10}" for i in range(10)]
    tiny.spec = tiny.spec.model_copy(update={"labels": tuple(order)})
    path = tiny.write(tmp_path, "onnx", "float32")
    (row,) = bench_file(path, ONE, "digits")
    x = (np.asarray(data.test.x, np.float64) - 3) / 5
    answers = np.array([int(order[i]) for i in tiny.logits(x).argmax(1)])
    assert row.accuracy is not None
    assert row.accuracy.value == pytest.approx((answers == data.test.y).mean())


def test_a_folder_of_pictures_is_brought_to_the_models_size(tmp_path):
    tiny = Tiny(shape=(3, 4, 4), classes=2, mean=128.0, std=60.0, peak=255.0)
    tiny.spec = tiny.spec.model_copy(update={"labels": ("dark", "light"), "task": "binary"})
    generator = np.random.default_rng(0)
    for label, low in (("dark", 0), ("light", 128)):
        folder = tmp_path / "photos" / "test" / label
        (tmp_path / "photos" / "train" / label).mkdir(parents=True)
        folder.mkdir(parents=True)
        for number in range(12):
            where = folder if number < 4 else tmp_path / "photos" / "train" / label
            pixels = generator.integers(low, low + 128, (4, 4, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(where / f"{number}.png")
    (row,) = bench_file(tiny.write(tmp_path, "onnx", "float32"), ONE, tmp_path / "photos")
    right = 0
    for wanted, label in enumerate(("dark", "light")):
        for file in sorted((tmp_path / "photos" / "test" / label).iterdir()):
            x = np.asarray(Image.open(file), np.float64).transpose(2, 0, 1)[None]
            right += int(tiny.logits((x - 128) / 60).argmax() == wanted)
    assert row.accuracy is not None and row.accuracy.n == 8
    assert row.accuracy.value == right / 8


def test_other_classes_and_other_sizes_are_refused(tiny, tmp_path):
    with pytest.raises(DataError, match="not those that the model answers"):
        bench_file(tiny.write(tmp_path, "onnx", "float32"), ONE, "digits")
    large = Tiny(shape=(1, 9, 9), classes=10)
    with pytest.raises(DataError, match=r"takes image \(1, 9, 9\)"):
        bench_file(large.write(tmp_path, "onnx", "float32"), ONE, "digits")
    with pytest.raises(EdgekdError):
        bench_file(tiny.write(tmp_path, "onnx", "float32"), ONE, "nothing_of_this_name")
