"""Files that are too new for a device's ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from tiny_models import Tiny

from edgekd.bench.jobs import BenchModel, measure
from edgekd.config.device import DeviceSettings
from edgekd.config.stages import BenchSettings
from edgekd.devices.opsets import EXPORTED, check_opset, newest_opset
from edgekd.errors import ConfigError
from edgekd.pipeline import resolve
from edgekd.plan import make_plan
from edgekd.runtimes.check_onnx import opset, read_onnx


@pytest.mark.parametrize(
    ("version", "newest"),
    [("1.16.3", 19), ("1.17", 20), ("1.14.0", 18), ("1.5.2", 12), ("1.22.0", None), ("2.0", None)],
)
def test_what_a_release_reads(version, newest):
    assert newest_opset(version) == newest


def test_only_a_profile_that_says_its_version_refuses():
    check_opset(99, DeviceSettings(name="any"), "x.onnx")
    check_opset(19, DeviceSettings(name="old", onnxruntime="1.16.3"), "x.onnx")
    with pytest.raises(ConfigError, match="up to version 19") as caught:
        check_opset(20, DeviceSettings(name="old", onnxruntime="1.16.3"), "x.onnx")
    assert "device old" in caught.value.where and "litert" in caught.value.fix


def old_device(folder: Path) -> str:
    (folder / "old.yaml").write_text("name: old\nonnxruntime: '1.12'\n")
    return str(folder / "old.yaml")


def test_a_pipeline_is_refused_before_anything_runs(tmp_path):
    raw = {"name": "p", "bench": {"devices": [old_device(tmp_path)]}}
    with pytest.raises(ConfigError, match="up to version 17"):
        make_plan(*resolve(raw))
    raw["export"] = {"formats": ["tflite"]}
    raw["bench"]["runtimes"] = ["litert"]
    assert make_plan(*resolve(raw))


def test_a_file_is_refused_before_it_is_measured(tmp_path):
    path = Tiny().write(tmp_path, "onnx", "float32")
    model = onnx.load(path)
    model.opset_import[0].version = 18
    path.write_bytes(model.SerializeToString())
    assert opset(read_onnx(path)) == 18
    settings = BenchSettings(devices=(old_device(tmp_path),))
    with pytest.raises(ConfigError, match="written in version 18") as caught:
        measure([BenchModel(path, "", 0, "float32", "onnx")], settings, run_folder=tmp_path)
    assert str(path) in caught.value.where


def test_the_exporter_writes_no_newer_operators(tmp_path):
    import torch

    from edgekd.export.onnx_file import export_onnx

    spec = Tiny(shape=(6,)).spec
    export_onnx(torch.nn.Linear(6, 4).eval(), spec, tmp_path / "x.onnx", precision="float32")
    assert opset(read_onnx(tmp_path / "x.onnx")) <= EXPORTED
