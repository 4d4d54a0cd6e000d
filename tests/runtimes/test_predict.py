"""`predict` answers about files as the reference computes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit, softmax
from tiny_models import Tiny

from edgekd.errors import DataError, EdgekdError
from edgekd.runtimes.predict import predict


@pytest.fixture
def tiny():
    return Tiny(shape=(1, 6, 6), classes=5, mean=8.0, std=9.0, peak=16.0)


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_pictures_arrays_and_tables(tmp_path, tiny, form):
    model = tiny.write(tmp_path, form, "float32")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6), np.uint8)
    raw = (pixels * (16 / 255)).astype(np.float32)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", np.stack([raw, 16 - raw]))
    np.savetxt(tmp_path / "c.csv", raw.reshape(1, -1), delimiter=",", fmt="%.9g")
    files = [tmp_path / name for name in ("a.png", "b.npy", "c.csv")]
    found = predict(model, files, top=2)
    assert [(p.file.name, p.row) for p in found] == [
        ("a.png", 0),
        ("b.npy", 0),
        ("b.npy", 1),
        ("c.csv", 0),
    ]
    x = (np.stack([raw, raw, 16 - raw, raw])[:, None] - 8) / 9
    wanted = softmax(tiny.logits(x), axis=-1)
    for prediction, probabilities in zip(found, wanted, strict=True):
        best = np.argsort(-probabilities)[:2]
        assert [label for label, _ in prediction.top] == [f"class{i}" for i in best]
        np.testing.assert_allclose([p for _, p in prediction.top], probabilities[best], atol=1e-4)
        assert (prediction.label, prediction.probability) == prediction.top[0]
    assert str(found[0]).startswith(f"{files[0]}: class")
    assert str(found[2]).startswith(f"{files[1]}[1]: class")


def test_errors(tmp_path, tiny):
    foreign = tiny.write(tmp_path, "onnx", "float32", None)
    np.save(tmp_path / "a.npy", np.zeros((5, 5)))
    with pytest.raises(EdgekdError, match="does not tell how") as caught:
        predict(foreign, [tmp_path / "a.npy"])
    assert "export it again with edgekd" in caught.value.fix
    model = tiny.write(tmp_path, "onnx", "float32")
    with pytest.raises(DataError, match="no input of this model"):
        predict(model, [tmp_path / "a.npy"])
    other = Tiny(shape=(1, 6, 6), classes=4).deployed("onnx", "float32").model_dump_json()
    np.save(tmp_path / "b.npy", np.zeros((6, 6)))
    with pytest.raises(EdgekdError, match="5 answers for 4 labels"):
        predict(tiny.write(tmp_path, "onnx", "float32", other), [tmp_path / "b.npy"])


def as_task(tiny: Tiny, task: str) -> Tiny:
    count = len(tiny.spec.labels)
    statistics = {"target_mean": (100.0,) * count, "target_std": (4.0,) * count}
    update = {"task": task, **(statistics if task == "regression" else {})}
    tiny.spec = tiny.spec.model_copy(update=update)
    return tiny


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_every_label_above_a_half_is_told(tmp_path, form):
    tiny = as_task(Tiny(shape=(4,), classes=5), "multilabel")
    x = tiny.samples(40)
    np.save(tmp_path / "x.npy", x)
    found = predict(tiny.write(tmp_path, form, "float32"), [tmp_path / "x.npy"], top=1)
    wanted = expit(tiny.logits(x))
    for prediction, row in zip(found, wanted, strict=True):
        assert {label for label, _ in prediction.top} == {
            f"class{i}" for i in np.flatnonzero(row > 0.5)
        }
        assert [p for _, p in prediction.top] == sorted(
            (p for _, p in prediction.top), reverse=True
        )
        assert prediction.probability == pytest.approx(row.max(), abs=1e-4)
    none = next(p for p in found if not p.top)
    assert ": no label (class" in str(none)
    assert any(len(p.top) > 1 for p in found)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_numbers_are_told_in_raw_units(tmp_path, precision):
    tiny = as_task(Tiny(shape=(4,), classes=2), "regression")
    x = tiny.samples(5)
    np.save(tmp_path / "x.npy", x)
    found = predict(tiny.write(tmp_path, "tflite", precision), [tmp_path / "x.npy"])
    wanted = np.clip(tiny.logits(x), -12.3, 13.2) * 4 + 100
    close = 0.01 if precision == "float32" else 4 * 0.3  # two or three steps of 0.1
    np.testing.assert_allclose([[v for _, v in p.values] for p in found], wanted, atol=close)
    assert [name for name, _ in found[0].values] == ["class0", "class1"]
    assert str(found[0]).startswith(f"{tmp_path / 'x.npy'}[0]: class0 ")
