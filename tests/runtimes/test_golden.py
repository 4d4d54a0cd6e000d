"""Golden samples are what a reader without edgekd needs, and tell a wrong file from a right one."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.errors import DataError, StageError
from edgekd.export.onnx_file import export_onnx
from edgekd.export.tflite_file import export_tflite
from edgekd.runtimes.golden import check_golden, write_golden
from edgekd.spec import InputSpec, ModelSpec

SPEC = InputSpec(kind="image", shape=(3, 6, 6), mean=(90.0, 100.0, 110.0), std=(50.0, 60.0, 70.0))
MODEL = ModelSpec(name="small", input=SPEC, labels=("a", "b"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()
    raw = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 6)).astype(np.uint8)
    x = torch.from_numpy(SPEC.normalise(raw))
    prepared = prepare_ptq(model, x[:2])
    calibrate(prepared, [x])
    files = [folder / "s-int8.tflite", folder / "s-float32.onnx"]
    export_tflite(convert(prepared, fold=False), MODEL, files[0], precision="int8")
    export_onnx(model, MODEL, files[1], precision="float32")
    write_golden(folder, files, raw, ["a", "b", "a", "b", "a"], SPEC)
    np.save(folder / "raw.npy", raw)
    return folder


def by_hand(folder) -> dict[str, np.ndarray]:
    """The tensors, read as docs/export.md says: a length, JSON, numbers."""
    content = (folder / "golden.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    kinds = {"U8": "u1", "I8": "i1", "F32": "<f4"}
    found = {}
    for name, told in header.items():
        start, end = (8 + length + offset for offset in told["data_offsets"])
        found[name] = np.frombuffer(content[start:end], kinds[told["dtype"]]).reshape(told["shape"])
    return found


def test_a_reader_of_the_documented_format_gets_the_same_answers(folder):
    told = json.loads((folder / "golden.json").read_text())
    tensors = by_hand(folder)
    assert told["samples"] == 5 and told["targets"] == ["a", "b", "a", "b", "a"]
    raw = tensors[told["raw"][0]["tensor"]]
    np.testing.assert_array_equal(raw, np.load(folder / "raw.npy"))
    entry = next(each for each in told["files"] if each["file"] == "s-int8.tflite")
    (source,) = entry["inputs"]
    fed = tensors[source["tensor"]]
    assert fed.dtype == np.int8 and fed.shape == (5, 6, 6, 3)
    interpreter = Interpreter(str(folder / entry["file"]))
    run = interpreter.get_signature_runner()
    answers = np.concatenate([run(input=sample[None])["logits"] for sample in fed])
    np.testing.assert_array_equal(answers, tensors[entry["output"]["tensor"]])
    assert entry["tolerance"] == 1
    # the input is the raw samples, normalised and quantized as docs/export.md tells
    (quantized,) = interpreter.get_input_details()
    scale, zero_point = quantized["quantization"]
    real = (raw - np.reshape(SPEC.mean, (1, 3, 1, 1))) / np.reshape(SPEC.std, (1, 3, 1, 1))
    wanted = np.clip(np.rint(np.moveaxis(real, 1, -1) / scale) + zero_point, -128, 127)
    assert np.abs(wanted - fed).max() <= 1 and (wanted == fed).mean() > 0.99


@pytest.mark.parametrize("name", ["s-int8.tflite", "s-float32.onnx"])
def test_the_exported_files_pass(folder, name):
    found = check_golden(folder / name)
    assert (found.samples, found.largest, found.same_bytes) == (5, 0, True)


def test_another_network_under_the_same_name_does_not_pass(folder, tmp_path):
    torch.manual_seed(1)
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()
    export_onnx(other, MODEL, tmp_path / "s-float32.onnx", precision="float32")
    with pytest.raises(StageError, match="does not give what it gave") as caught:
        check_golden(tmp_path / "s-float32.onnx", folder / "golden.json")
    assert "sample" in caught.value.where


def test_what_is_missing_or_damaged_is_named(folder, tmp_path):
    with pytest.raises(DataError, match=r"no golden samples of other\.onnx"):
        check_golden(tmp_path / "other.onnx", folder / "golden.json")
    with pytest.raises(DataError, match="cannot be read"):
        check_golden(folder / "s-int8.tflite", tmp_path / "golden.json")
    for file in ("golden.json", "golden.safetensors"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    content = (tmp_path / "golden.safetensors").read_bytes()
    (tmp_path / "golden.safetensors").write_bytes(content[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        check_golden(folder / "s-int8.tflite", tmp_path / "golden.json")
