"""`predict` answers about files as the reference computes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
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
