"""Jobs on an arm64 machine: in the emulator, and by ssh on one whose programs it runs."""

from __future__ import annotations

import json
import shlex
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import pytest
from jsonschema import Draft202012Validator
from sshd import MISSING, Sshd, between
from tiny_models import Tiny

from edgekd.bench.jobs import bench_files
from edgekd.config.device import DeviceSettings
from edgekd.config.stages import BenchSettings
from edgekd.devices import check, open_device
from edgekd.devices.arm64_root import TOOLS, root_folder
from edgekd.devices.emulator import enter
from edgekd.devices.remote import RemoteDevice
from edgekd.errors import ConfigError, StageError
from edgekd.schema import schema_text

ONCE = {"warmup_seconds": 0.0, "min_runs": 1, "min_seconds": 0.0}
LONG = {"warmup_seconds": 0.0, "min_runs": 5, "min_seconds": 600.0}


def emulator(processor: str = "cortex-a72") -> DeviceSettings:
    return DeviceSettings.model_validate(
        {"name": "arm64", "kind": "emulator", "processor": processor}
    )


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def jobs_in(root: Path) -> list[psutil.Process]:
    """Processes of jobs in the root: programs there are started by QEMU."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or ()
        if "result.json" in words and any("qemu" in word or str(root) in word for word in words):
            found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processor", "has", "lacks"),
    [
        ("cortex-a53", {"asimd"}, {"asimdhp", "asimddp", "sve"}),  # Armv8.0
        ("cortex-a76", {"asimd", "asimdhp", "asimddp"}, {"sve", "i8mm"}),  # Armv8.2, dot product
        ("max", {"asimd", "asimdhp", "asimddp", "sve", "i8mm", "bf16"}, set()),
    ],
)
def test_it_is_the_processor_that_was_asked_for(arm64, processor, has, lacks):
    with open_device(emulator(processor)) as device:
        state = device.state()
        assert not device.timed
    assert state["system"].endswith("aarch64") and processor in state["processor"]
    assert has <= set(state["instructions"]) and not lacks & set(state["instructions"])
    assert state["cores"] == len(psutil.Process().cpu_affinity())
    assert set(state["runtimes"]) == {"onnxruntime", "ai-edge-litert"}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tflite", "onnx"])
def test_answers_are_those_of_this_machine_to_a_step(arm64, tmp_path, form):
    tiny = Tiny()
    tiny.write(tmp_path, form, "int8")
    np.save(tmp_path / "x.npy", tiny.samples(200))
    got = {}
    for settings in (DeviceSettings(name="here"), emulator()):
        with open_device(settings) as device:
            job = {
                "model": device.push(tmp_path / f"int8.{form}"),
                "inputs": device.push(tmp_path / "x.npy"),
            }
            result = device.run({**job, "outputs": "y.npy", **ONCE}, timeout=120)
            device.pull("y.npy", tmp_path / "y.npy")
            got[device.name] = np.load(tmp_path / "y.npy")
            assert result["peak_rss_bytes"] > result["rss_growth_bytes"] > 0
    steps = np.unique(got["here"])
    step = np.diff(steps).min()
    assert np.abs(got["arm64"] - got["here"]).max() <= 1.01 * step
    assert (got["arm64"].argmax(1) == got["here"].argmax(1)).mean() > 0.95


@pytest.mark.slow
def test_bench_gives_its_accuracy_and_instructions_and_no_times(arm64, counting, tmp_path):
    tiny = Tiny()
    tiny.write(tmp_path, "tflite", "int8")
    x, labels = tiny.samples(100), np.random.default_rng(0).integers(0, 4, 100)
    np.savez(tmp_path / "test.npz", x=x, y=labels)
    devices = ("local", "arm64-emulator")
    settings = BenchSettings(devices=devices, threads=(1,), quick=True, processes=2)
    result = bench_files([tmp_path / "int8.tflite"], settings, tmp_path / "test.npz")
    Draft202012Validator(json.loads(schema_text("bench"))).validate(result.model_dump(mode="json"))
    here, row = result.rows
    assert (here.device, row.device) == ("local", "arm64-emulator")
    assert here.latency_us is not None and row.latency_us is None and row.first_us is None
    assert here.accuracy is not None and row.accuracy is not None
    assert row.accuracy.n == 100 and abs(row.accuracy.value - here.accuracy.value) <= 0.05
    assert row.same_answers is not None and 95 <= row.same_answers <= 100
    assert here.same_answers is None, "with itself there is nothing to compare"
    assert row.emulated == "cortex-a72" and here.emulated is None
    assert row.threads == 1 and here.instructions is None
    assert row.instructions is not None and row.instructions > 100 * 4


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tflite", "onnx"])
def test_instructions_of_an_inference_repeat(arm64, counting, tmp_path, form):
    """A vector of NEON has four floats: products take a quarter as many instructions, and some."""
    Tiny((1024,), 200).write(tmp_path, form, "float32")
    with open_device(emulator()) as device:
        job = {"model": device.push(tmp_path / f"float32.{form}"), **ONCE}
        first, again = (device.run(job, timeout=120)["instructions"] for _ in range(2))
    assert median(again) == pytest.approx(median(first), rel=1e-3)
    assert max(first) <= 1.01 * min(first)
    assert 200 * 1024 / 4 < median(first) < 2 * 200 * 1024


@pytest.mark.slow
def test_without_a_compiler_jobs_run_and_a_note_says_so(arm64, tmp_path, monkeypatch):
    for tool in (*TOOLS, "qemu-aarch64", "env", "sh", "mount", "chroot"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/true")
    Tiny().write(tmp_path, "tflite", "int8")
    monkeypatch.setenv("PATH", str(tmp_path))
    with open_device(emulator()) as device:
        (note,) = device.notes
        result = device.run({"model": device.push(tmp_path / "int8.tflite"), **ONCE}, timeout=120)
    assert note.startswith("instructions are not counted:") and "gcc" in note
    assert result["ok"] and "instructions" not in result


@pytest.mark.slow
def test_nothing_stays(arm64, tmp_path):
    Tiny().write(tmp_path, "tflite", "int8")
    with open_device(emulator()) as device:
        with pytest.raises(StageError, match="ended after 6 s"):
            device.run({"model": device.push(tmp_path / "int8.tflite"), **LONG}, timeout=6)
        until(lambda: not jobs_in(arm64))
    assert str(arm64) not in Path("/proc/mounts").read_text()
    assert not list((arm64 / "root/.cache/edgekd/jobs").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_an_arm64_machine_at_the_other_end_of_ssh(arm64, tmp_path):
    """sshd starts every command in the root: what answers there is arm64."""
    inside = shlex.join(enter(arm64, "cortex-a76", "sh", "-c"))
    login = tmp_path / "login"
    login.write_text(f'#!/bin/sh\nexec {inside} "$SSH_ORIGINAL_COMMAND"\n')
    login.chmod(0o755)
    server = Sshd(tmp_path, "", f"ForceCommand {login}")
    tiny = Tiny()
    tiny.write(tmp_path, "tflite", "int8")
    model = tmp_path / "int8.tflite"
    try:
        with between(server.port) as relay:
            settings = server.profile(relay.port, folder=".cache/edgekd-by-ssh")
            with open_device(settings) as device:
                assert isinstance(device, RemoteDevice) and device.timed
                assert device.facts["machine"] == "aarch64"
                path = device.push(model)
                result = device.run({"model": path, **ONCE}, timeout=120)
                assert "asimddp" in result["machine"]["instructions"]
                assert result["runtime"] == "litert"
                told = []

                def work() -> None:
                    try:
                        device.run({"model": path, **LONG}, timeout=600)
                    except StageError as error:
                        told.append(error.what)

                job = threading.Thread(target=work)
                job.start()
                try:
                    until(lambda: jobs_in(arm64))
                finally:
                    relay.drop()
                job.join(60)
                assert told == ["The connection to the device dropped."]
                until(lambda: not jobs_in(arm64))
        assert str(arm64) not in Path("/proc/mounts").read_text()
    finally:
        server.stop()


def test_a_root_that_was_not_made_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert root_folder().is_relative_to(tmp_path)
    with pytest.raises(StageError, match="not made yet") as caught:
        open_device(emulator()).connect()
    assert caught.value.fix == "edgekd devices create arm64"


def test_only_emulators_are_made():
    with pytest.raises(ConfigError, match="Only emulators"):
        check.create(DeviceSettings(name="here"), print)
