"""The local device: jobs in processes, and what a user reads when one fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import Tiny

from edgekd.config.device import DeviceSettings
from edgekd.devices import Device, local, open_device
from edgekd.errors import StageError

SHORT = {"warmup_seconds": 0.0, "min_runs": 5, "min_seconds": 0.0}


@pytest.fixture
def device():
    with open_device(DeviceSettings(name="here")) as opened:
        yield opened


def agent_that(monkeypatch, folder: Path, code: str) -> None:
    path = folder / "other_agent.py"
    path.write_text(f"import os, signal, sys, time\n{code}\n")
    monkeypatch.setattr(local, "AGENT", path)


def test_runs_jobs(device: Device, tmp_path, monkeypatch):
    Tiny().write(tmp_path, "tflite", "int8")
    monkeypatch.chdir(tmp_path)
    pushed = device.push(Path("int8.tflite"))  # jobs run in another folder
    result = device.run({"model": pushed, "threads": 1, **SHORT}, timeout=60)
    assert result["ok"] and result["runtime"] == "litert"
    assert device.name == "here" and device.state()["cores"] >= 1
    assert device.run({}, timeout=60)["machine"]["cores"] == device.state()["cores"]


def test_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_device(DeviceSettings(name="here")) as device:
        device.run({}, timeout=60)
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    with pytest.raises(StageError, match="not connected"):
        device.run({}, timeout=60)


def test_the_agents_error_is_told(device: Device, tmp_path):
    with pytest.raises(StageError, match="cannot load") as caught:
        (tmp_path / "bad.onnx").write_bytes(b"\x01bad")
        device.run({"model": str(tmp_path / "bad.onnx"), **SHORT}, timeout=60)
    assert "bad.onnx on here" in caught.value.where


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("sys.exit(7)", "exit code 7"),
        ("sys.exit(0)", "exit code 0"),
    ],
)
def test_a_crash_is_told(device: Device, tmp_path, monkeypatch, code, ending):
    agent_that(monkeypatch, tmp_path, code)
    with pytest.raises(StageError, match=f"without a result: {ending}"):
        device.run({"model": "x.onnx"}, timeout=60)


def test_the_end_of_stderr_is_shown_on_one_screen(device: Device, tmp_path, monkeypatch):
    agent_that(monkeypatch, tmp_path, "[print('line', i, file=sys.stderr) for i in range(500)]")
    with pytest.raises(StageError) as caught:
        device.run({}, timeout=60)
    text = str(caught.value)
    assert "line 499" in text and "line 400" not in text and len(text.splitlines()) < 20


def test_a_result_that_is_cut_off(device: Device, tmp_path, monkeypatch):
    agent_that(monkeypatch, tmp_path, "open(sys.argv[2], 'w').write('{\"ok\":')")
    with pytest.raises(StageError, match="cannot be read"):
        device.run({}, timeout=60)


def test_a_job_that_takes_too_long(device: Device, tmp_path, monkeypatch):
    agent_that(monkeypatch, tmp_path, "time.sleep(60)")
    with pytest.raises(StageError, match=r"ended after 1 s"):
        device.run({"model": "slow.onnx"}, timeout=1)
