"""Runtimes: what `load` gives, and its errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_models import OUTPUT, Tiny

from edgekd.errors import DataError, EdgekdError
from edgekd.runtimes import Runtime, load

FORMS = {"onnx": "onnxruntime", "tflite": "litert"}


@pytest.fixture(scope="module")
def tiny():
    return Tiny()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_describes_and_runs(tmp_path, tiny, form, precision):
    runtime: Runtime = load(tiny.write(tmp_path, form, precision), threads=2)
    assert runtime.name == FORMS[form] and runtime.version[0].isdigit()
    assert runtime.describe() == tiny.deployed(form, precision)
    x = 0.5 * tiny.samples(9)
    logits = runtime.run(x)
    np.testing.assert_allclose(logits, tiny.logits(x), atol=5e-1 if precision == "int8" else 1e-4)
    if precision == "float32":
        with pytest.raises(DataError, match="float32, not int8"):
            runtime.run_integers(x)
        return
    integers = runtime.run_integers(x)
    assert integers.dtype == np.int8
    steps = integers.astype(float) - OUTPUT.zero_point
    np.testing.assert_allclose(logits, OUTPUT.scale * steps, rtol=1e-6)


def test_formats_agree_in_int8(tmp_path, tiny):
    """Up to the rounding of the weights, which only the TFLite file has in int8."""
    x = tiny.samples(50)
    onnx = load(tiny.write(tmp_path, "onnx", "int8")).run_integers(x).astype(int)
    tflite = load(tiny.write(tmp_path, "tflite", "int8")).run_integers(x).astype(int)
    assert np.abs(onnx - tflite).max() <= 2


def test_reads_rows(tmp_path):
    tiny = Tiny(shape=(6,))
    for form in FORMS:
        x = tiny.samples(4)
        got = load(tiny.write(tmp_path, form, "float32")).run(x)
        np.testing.assert_allclose(got, tiny.logits(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_foreign_files_describe_nothing(tmp_path, tiny, form):
    assert load(tiny.write(tmp_path, form, "float32", None)).describe() is None


@pytest.mark.parametrize("form", FORMS)
def test_metadata_of_another_version(tmp_path, tiny, form):
    text = json.loads(tiny.deployed(form, "float32").model_dump_json())
    text["model"]["colour"] = "blue"
    with pytest.raises(EdgekdError, match="does not fit this version") as caught:
        load(tiny.write(tmp_path, form, "float32", json.dumps(text)))
    assert "model.colour" in caught.value.where


def test_errors_are_edgekds(tmp_path, tiny):
    with pytest.raises(EdgekdError, match="no such model file"):
        load(tmp_path / "absent.onnx")
    path = tiny.write(tmp_path, "tflite", "float32")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(EdgekdError, match=r"damaged|cannot load") as caught:
        load(path)
    assert str(path) in caught.value.where
    with pytest.raises(DataError, match="the model takes"):
        load(tiny.write(tmp_path, "onnx", "float32")).run(np.zeros((2, 5), np.float32))
