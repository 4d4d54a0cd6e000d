"""The real adb client against a small adbd, whose shell runs in the arm64 root."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from adbd import Adbd
from jsonschema import Draft202012Validator
from phone import BIG, CORES, Phone
from sshd import free_port
from tiny_models import Tiny

from edgekd.bench.jobs import More, bench_files
from edgekd.bench.result import BenchResult
from edgekd.config.device import DeviceSettings
from edgekd.config.load import load_device
from edgekd.config.stages import BenchSettings
from edgekd.devices import adb, check, open_device
from edgekd.devices.android_tool import BenchmarkModelDevice
from edgekd.errors import StageError
from edgekd.schema import schema_text

pytestmark = pytest.mark.skipif(
    shutil.which("adb") is None, reason="needs adb, which .ci/run installs"
)
TOOL = Path(__file__).with_name("benchmark_model_standin.py")
SHORT = {"min_runs": 5, "min_seconds": 0.01, "warmup_seconds": 0.01}
LONG = {"min_runs": 5, "min_seconds": 600.0, "warmup_seconds": 0.01}
MEASURES = ",".join(map(str, range(BIG, CORES)))
TERMUX = "/data/data/com.termux/files/usr/bin/python3"


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Path]:
    """An adb server of its own, with a key of its own: its home."""
    home, port = tmp_path_factory.mktemp("adb"), str(free_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", port)
        patch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5554")  # it looks for no emulators
        patch.delenv("ANDROID_SERIAL", raising=False)
        own = {**os.environ, "HOME": str(home)}
        subprocess.run(["adb", "start-server"], env=own, capture_output=True, check=True)
        try:
            yield home
        finally:
            subprocess.run(["adb", "kill-server"], env=own, capture_output=True, check=False)


@pytest.fixture
def model(tmp_path) -> Path:
    Tiny().write(tmp_path, "tflite", "int8")
    return tmp_path / "int8.tflite"


@contextlib.contextmanager
def plugged(phone: Phone | None = None, *, connect: bool = True, **more) -> Iterator[Adbd]:
    """A phone that the adb server knows in this context; without `phone` it does nothing."""
    data = Path("/nowhere") if phone is None else phone.data
    shell = (lambda _line: ["true"]) if phone is None else phone.shell
    adbd = Adbd(data, shell, **more)
    try:
        if connect:
            adb.ask("connect", adbd.serial)
        yield adbd
    finally:
        adb.ask("disconnect", adbd.serial)
        adbd.unplug()


@pytest.fixture
def phone(server, arm64, tmp_path) -> Phone:
    return Phone(tmp_path, arm64)


def profile(**fields: object) -> DeviceSettings:
    given = {"name": "phone", "kind": "adb", "benchmark_model": str(TOOL)}
    return DeviceSettings.model_validate({**given, **fields})


def connected(settings: DeviceSettings) -> BenchmarkModelDevice:
    device = open_device(settings)
    assert isinstance(device, BenchmarkModelDevice)
    return device


def refused(settings: DeviceSettings) -> StageError:
    with pytest.raises(StageError) as caught:
        open_device(settings).connect()
    return caught.value


@pytest.mark.slow
def test_a_whole_bench(phone, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices/phone.yaml").write_text(
        f"name: phone\nkind: adb\nbenchmark_model: {os.path.relpath(TOOL, tmp_path / 'devices')}\n"
    )
    settings = BenchSettings(devices=("phone",), processes=3, min_runs=30, min_seconds=0.03)
    with plugged(phone):
        result = bench_files(
            [Path("int8.tflite")], settings, more=More(profile=[Path("int8.tflite")])
        )
        (shown,) = [row for row in check.profiles() if row[0] == "phone"]
    assert shown[1] == "adb"
    Draft202012Validator(json.loads(schema_text("bench"))).validate(result.model_dump(mode="json"))
    assert BenchResult.model_validate_json(result.model_dump_json()) == result
    (row,) = result.rows
    times = row.latency_us
    assert times is not None and row.processes == 3 and times.n >= 30
    assert times.p50 == np.median([run.p50 for run in row.runs]) > 0
    assert times.p50_low is not None and times.p50_low < times.p50
    assert times.p90 is None and times.p99 is None  # which the tool does not tell
    assert row.runtime == "litert" and row.runtime_version.startswith("benchmark_model ")
    assert row.peak_rss_bytes > 1_000_000 and row.accuracy is None
    assert row.profile is not None
    assert [(one.name, one.op) for one in row.profile] == [
        ("[conv]:0", "CONV_2D"),
        ("Delegate/fc:1", "Fully Connected (NC, QS8)"),
    ]
    before = row.runs[0].before
    assert (before.temperature_c, before.battery_percent, before.battery_c) == (47.5, 67.0, 33.7)
    assert (before.thermal_status, before.powered, before.governor) == (0, True, "schedutil")
    assert list(before.cores) == list(range(BIG, CORES)) and before.pinned == (BIG > 0)
    machine = result.machines["phone"]
    assert (
        machine.processor.startswith("Stand In, Google Zuma (") and "2850 MHz" in machine.processor
    )
    assert machine.system.startswith("Android 14 (API 34), ") and machine.cores == CORES - BIG
    assert machine.clocks_mhz == (1803.0,) * BIG + (2850.0,) * (CORES - BIG)
    assert "asimddp" in machine.instructions and machine.memory_bytes > 1e8
    starts = phone.started()
    assert len(starts) == 5  # three processes, one for its memory, one for its profile
    assert {line.split()[0] for line in starts} == {MEASURES}
    assert row.disturbed == [] and any("schedutil" in text for text in row.warnings)


@pytest.mark.slow
def test_a_second_run_sends_less_than_10_kb(phone, model, tmp_path):
    heavy = tmp_path / "benchmark_model"
    heavy.write_bytes(TOOL.read_bytes() + b"#" * 300_000)
    came = []
    with plugged(phone) as adbd:
        for _run in range(2):
            before = adbd.received
            with connected(profile(benchmark_model=str(heavy))) as device:
                found = device.run({"model": device.push(model), **SHORT}, timeout=60)
                assert found["ok"] and found["latency_us"]["n"] >= 5
            came.append((adbd.received - before, device.sent_bytes))
    assert came[0][0] > 300_000 + model.stat().st_size
    assert came[1][0] < 10_000 and came[1][1] < 10_000


@pytest.mark.slow
def test_unplugged_in_the_middle(phone, model):
    told: list[StageError] = []
    with plugged(phone) as adbd, connected(profile()) as device:
        path = device.push(model)

        def work() -> None:
            try:
                device.run({"model": path, **LONG}, timeout=900)
            except StageError as error:
                told.append(error)

        job = threading.Thread(target=work)
        job.start()
        try:
            until(phone.running)
        finally:
            adbd.unplug()
        job.join(60)
        assert told[0].what == "The connection to the device dropped."
        until(lambda: not phone.running())
        with pytest.raises(StageError, match="dropped"):
            device.state()


@pytest.mark.slow
def test_a_job_that_takes_too_long_is_ended_there(phone, model, monkeypatch):
    monkeypatch.setattr("edgekd.devices.android_tool.GRACE", 0.0)
    with plugged(phone), connected(profile()) as device:
        path = device.push(model)
        with pytest.raises(StageError, match="ended after 2 s"):
            device.run({"model": path, **LONG}, timeout=2)
        until(lambda: not phone.running())


@pytest.mark.slow
def test_what_is_wrong_with_a_file_is_told(phone, tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    with plugged(phone), connected(profile()) as device:
        path = device.push(tmp_path / "bad.tflite")
        with pytest.raises(StageError, match="gave no times: exit code 1") as caught:
            device.run({"model": path, **SHORT}, timeout=60)
    assert "not a valid Flatbuffer" in caught.value.where


@pytest.mark.slow
def test_heat_is_told_and_may_be_mended(phone, model):
    phone.heat(2)
    with plugged(phone), connected(profile(use_cores="all")) as device:
        found = device.run({"model": device.push(model), **SHORT, "stream": {"fps": 9}}, timeout=60)
        (row,) = [text for name, text in device.told() if name == "heat"]
    assert row.endswith("thermal status 2")
    assert found["disturbed"] == [
        "the phone throttles because of heat (thermal status 2, moderate)"
    ]
    assert any("need a Python" in text for text in found["warnings"])
    assert not found["before"]["pinned"]


@pytest.mark.slow
def test_check_says_what_the_phone_is(phone):
    with plugged(phone) as adbd:
        rows = dict(check.examine(profile(serial=adbd.serial)))
        words = check.shell_command(profile(serial=adbd.serial))
    assert rows["reached"].startswith(f"adb {adbd.serial}, in ")
    assert rows["battery"] == "67 %, plugged in" and rows["heat"] == "48 °C, thermal status 0"
    assert rows["measures on"] == f"cores {MEASURES.replace(',', ', ')} of {CORES}"
    assert rows["folder"] == "/data/local/tmp/edgekd" and rows["litert"][:16] == "benchmark_model "
    assert words[1:] == ["-s", adbd.serial, "shell"]


@pytest.mark.slow
def test_a_python_on_the_phone_measures_accuracy_too(phone, model, tmp_path):
    np.save(tmp_path / "x.npy", Tiny().samples(40))
    got = {}
    with plugged(phone):
        for settings in (DeviceSettings(name="here"), profile(python=TERMUX)):
            with open_device(settings) as device:
                assert device.scored
                job = {"model": device.push(model), "inputs": device.push(tmp_path / "x.npy")}
                result = device.run({**job, "outputs": "y.npy", **SHORT}, timeout=120)
                device.pull("y.npy", tmp_path / "y.npy")
                got[device.name] = np.load(tmp_path / "y.npy")
    assert (got["phone"].argmax(1) == got["here"].argmax(1)).mean() > 0.95
    assert result["machine"]["processor"].startswith("Stand In, Google Zuma")
    assert result["before"]["battery_percent"] == 67 and result["before"]["temperature_c"] == 47.5
    assert list(result["before"]["cores"]) == list(range(BIG, CORES))
    assert result["quantiles_us"] and result["latency_us"]["p99"]
    apps = (phone.data / "local/tmp/ran-as").read_text().split()
    assert set(apps) == {"com.termux"}
    assert (phone.data / "data/com.termux/files/home/.cache/edgekd/files").is_dir()


@pytest.mark.slow
def test_a_full_phone(phone, tmp_path):
    (tmp_path / "large.tflite").write_bytes(bytes(3_000_000))
    to = phone.data / "local/tmp/edgekd"
    to.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(to)]
    subprocess.run(small, check=True)
    try:
        with (
            plugged(phone),
            connected(profile()) as device,
            pytest.raises(StageError, match="disk is full") as caught,
        ):
            device.push(tmp_path / "large.tflite")
    finally:
        subprocess.run(["umount", str(to)], check=True)
    assert "large.tflite on phone" in caught.value.where


def test_a_connection_that_fails_at_its_end_leaves_nothing_there(server, tmp_path):
    """The shell is this machine's own, which has no core 99 either."""
    adbd = Adbd(tmp_path, lambda line: ["sh", "-c", line])
    there = {"python": sys.executable, "folder": str(tmp_path / "edgekd")}
    try:
        error = refused(profile(serial=adbd.serial, use_cores=(99,), **there))
    finally:
        adb.ask("disconnect", adbd.serial)
        adbd.unplug()
    assert error.what == "The phone has no core 99 that runs."
    assert list((tmp_path / "edgekd/files").iterdir())
    assert not list((tmp_path / "edgekd/jobs").iterdir())


def test_a_phone_that_does_not_trust_this_machine(server, tmp_path):
    (tmp_path / "nobody").write_text("")
    with plugged(trusted=tmp_path / "nobody", connect=False) as adbd:
        error = refused(profile(serial=adbd.serial))
    assert error.what == "The phone does not trust this machine yet."
    assert "unauthorized" in error.where and "allow USB debugging" in error.fix


def test_a_phone_that_trusts_this_machines_key(server):
    with plugged(trusted=server / ".android/adbkey.pub") as adbd:
        assert adb.chosen(profile(serial=adbd.serial)) == adbd.serial


def test_of_two_phones_none_is_picked(server, monkeypatch):
    with plugged(model="One") as one, plugged(model="Two") as two:
        error = refused(profile())
        assert error.what.startswith("Several Android phones are connected")
        for adbd in (one, two):
            assert f"{adbd.serial} device" in error.where and f"model:{adbd.model}" in error.where
        assert "serial: " in error.fix and "ANDROID_SERIAL=" in error.fix
        assert adb.chosen(profile(serial=two.serial)) == two.serial
        monkeypatch.setenv("ANDROID_SERIAL", one.serial)
        assert adb.chosen(profile()) == one.serial
        other = refused(profile(serial="R58M12ABCDE"))
        assert other.what == "The phone R58M12ABCDE is not connected." and one.serial in other.where


def test_no_phone(server):
    assert refused(profile()).what == "No Android phone is connected."


def test_no_adb(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refused(profile())
    assert error.what == "There is no adb on this machine." and "apt install adb" in error.fix


def test_no_benchmark_model(server, tmp_path):
    error = refused(profile(benchmark_model=None))
    assert "nothing that could measure" in error.what and "benchmark_model: PATH" in error.fix
    error = refused(profile(benchmark_model=str(tmp_path / "none")))
    assert error.where == f"phone: {tmp_path / 'none'}"


def test_the_shipped_profile_lacks_only_the_program(server):
    settings = load_device("android")
    assert settings.runtimes == ("litert",) and settings.folder == "/data/local/tmp/edgekd"
    assert "nothing that could measure" in refused(settings).what
