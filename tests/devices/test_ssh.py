"""A real sshd at the other end: what arrives, what is sent twice, what is told when it fails."""

from __future__ import annotations

import contextlib
import hashlib
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
import psutil
import pytest
from jsonschema import Draft202012Validator
from sshd import MISSING, Sshd, between, free_port, make_key
from tiny_models import Tiny

from edgekd.bench.jobs import bench_files
from edgekd.bench.profile import profile
from edgekd.bench.turns import comparable
from edgekd.config.device import DeviceSettings
from edgekd.config.stages import BenchSettings
from edgekd.devices import open_device
from edgekd.devices.remote import RemoteDevice
from edgekd.errors import StageError
from edgekd.schema import schema_text

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
SHORT = {"warmup_seconds": 0.0, "min_runs": 5, "min_seconds": 0.0}
LONG = {"warmup_seconds": 0.0, "min_runs": 5, "min_seconds": 600.0}
FEW = {"min_runs": 5, "min_seconds": 0.001}
HERE = {"python": sys.executable}
"""A device whose own Python has numpy and the runtimes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Sshd]:
    started = Sshd(tmp_path_factory.mktemp("sshd"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    Tiny().write(folder, "tflite", "int8")
    return folder / "int8.tflite"


def remote(settings: DeviceSettings) -> RemoteDevice:
    device = open_device(settings)
    assert isinstance(device, RemoteDevice)
    return device


def run_by(home: Path) -> list[psutil.Process]:
    """Processes that work for a device whose home this is."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(home) in words and process.info["name"] not in ("ssh", "sshd"):
            found.append(process)
    return found


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 40
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def big_file(path: Path, size: int, seed: int = 0) -> Path:
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return path


def test_a_job_gives_what_it_gives_here_and_leaves_nothing(server, model, tmp_path):
    np.save(tmp_path / "x.npy", Tiny().samples(40))
    got = {}
    for settings in (DeviceSettings(name="here"), server.profile(**HERE)):
        with open_device(settings) as device:
            job = {"model": device.push(model), "inputs": device.push(tmp_path / "x.npy")}
            result = device.run({**job, "outputs": "y.npy", **SHORT}, timeout=60)
            assert result["ok"] and result["runtime"] == "litert"
            device.pull("y.npy", tmp_path / "y.npy")
            got[device.name] = np.load(tmp_path / "y.npy")
            with pytest.raises(StageError, match="left a file out"):
                device.pull("y.npy", tmp_path / "y.npy")
            assert device.timed
    np.testing.assert_array_equal(got["board"], got["here"])
    assert not list((server.home / ".cache/edgekd/jobs").iterdir())
    until(lambda: not run_by(server.home))


def test_a_whole_bench_follows_the_published_schema(server, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices").mkdir()
    fields = server.profile(**HERE).model_dump(mode="json", exclude_defaults=True)
    (tmp_path / "devices/board.yaml").write_text(json.dumps(fields))  # JSON is YAML
    np.savez(tmp_path / "test.npz", x=Tiny().samples(40), y=np.arange(40) % 4)
    settings = BenchSettings(devices=("local", "board"), threads=(1,), processes=2, **FEW)
    twin = shutil.copy(model, tmp_path / "twin.tflite")
    result = bench_files([model, twin], settings, tmp_path / "test.npz")
    Draft202012Validator(json.loads(schema_text("bench"))).validate(result.model_dump(mode="json"))
    here, beside, there, beside_there = result.rows
    assert comparable(here.blocks_us, beside.blocks_us), "they took turns in a process"
    assert comparable(there.blocks_us, beside_there.blocks_us)
    assert (here.device, there.device, there.processes) == ("local", "board", 2)
    assert result.machines.keys() == {"local", "board"} and there.latency_us is not None
    assert here.accuracy == there.accuracy is not None and there.same_answers == 40


def test_a_profile_of_operators_there(server, model):
    """What LiteRT's profiler needs is sent, too."""
    settings = server.profile(**HERE)
    with open_device(settings) as device:
        found = profile(device, settings, {"model": device.push(model), **SHORT}, "tflite")
    assert found["profile_note"] == ""
    assert any("Fully Connected" in operator.op for operator in found["profile"])


def test_a_second_run_sends_less_than_10_kb(server, model, tmp_path):
    weights = big_file(tmp_path / "weights.npy", 300_000)
    sent = []
    for _run in range(2):
        with between(server.port) as relay:
            with open_device(server.profile(relay.port, **HERE)) as device:
                device.push(weights)
                device.run({"model": device.push(model), **SHORT}, timeout=60)
            sent.append(relay.up)
    assert sent[0] > 300_000
    assert sent[1] < 10_000


def test_a_transfer_that_is_cut_off_goes_on(server, tmp_path):
    file = big_file(tmp_path / "large.npy", 3_000_000, seed=1)
    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    there = server.home / ".cache/edgekd/files" / f"{sha}.npy"
    with between(server.port) as relay, remote(server.profile(relay.port, **HERE)) as device:
        relay.drop_after = relay.up + 2_000_000
        with pytest.raises(StageError, match="connection to the device dropped") as caught:
            device.push(file)
        assert "large.npy" in caught.value.where
        with pytest.raises(StageError, match="dropped"):
            device.run({}, timeout=60)
    part = there.with_name(f"{there.name}.part")
    until(lambda: not run_by(server.home))
    arrived = part.stat().st_size
    assert 0 < arrived < 3_000_000 and not there.exists()
    with remote(server.profile(**HERE)) as device:
        before = device.sent_bytes
        path = device.push(file)
        assert device.sent_bytes - before == 3_000_000 - arrived
    assert path == str(there) and there.read_bytes() == file.read_bytes() and not part.exists()


def test_a_wrong_beginning_is_found_and_sent_anew(server, tmp_path):
    file = big_file(tmp_path / "other.npy", 10_000, seed=2)
    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    part = server.home / ".cache/edgekd/files" / f"{sha}.npy.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"\0" * 5_000)
    with remote(server.profile(**HERE)) as device:
        with pytest.raises(StageError, match="did not arrive whole"):
            device.push(file)
        assert Path(device.push(file)).read_bytes() == file.read_bytes()


def test_no_process_stays_when_the_connection_drops(server, model):
    with between(server.port) as relay, remote(server.profile(relay.port, **HERE)) as device:
        path, told = device.push(model), []

        def work() -> None:
            try:
                device.run({"model": path, **LONG}, timeout=600)
            except StageError as error:
                told.append(error)

        job = threading.Thread(target=work)
        job.start()
        try:
            until(lambda: len(run_by(server.home)) >= 3)  # sh, attached.py and the agent
        finally:
            relay.drop()
        job.join(40)
        assert "connection to the device dropped" in told[0].what
        until(lambda: not run_by(server.home))


def test_no_process_stays_when_edgekd_is_killed(server, model):
    settings = server.profile(**HERE).model_dump_json(exclude_unset=True)
    code = (
        "import sys\nfrom edgekd.config.device import DeviceSettings\n"
        "from edgekd.devices import open_device\nfrom pathlib import Path\n"
        "with open_device(DeviceSettings.model_validate_json(sys.argv[1])) as device:\n"
        f"    device.run({{'model': device.push(Path(sys.argv[2])), **{LONG}}}, 600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, settings, str(model)]) as process:
        try:
            until(lambda: len(run_by(server.home)) >= 3)
            connections = psutil.Process(process.pid).children()
        finally:
            process.kill()
    assert {connection.name() for connection in connections} == {"ssh"}
    until(lambda: not run_by(server.home))
    until(lambda: not any(map(alive, connections)))


def test_a_job_that_takes_too_long_is_ended_there(server, model):
    with open_device(server.profile(**HERE)) as device:
        with pytest.raises(StageError, match="ended after 2 s"):
            device.run({"model": device.push(model), **LONG}, timeout=2)
        until(lambda: not run_by(server.home))
        assert device.run({"model": device.push(model), **SHORT}, timeout=60)["ok"]


def test_the_agents_error_is_told(server, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"\x01bad")
    with open_device(server.profile(**HERE)) as device:
        with pytest.raises(StageError, match="cannot load") as caught:
            device.run({"model": device.push(tmp_path / "bad.onnx"), **SHORT}, timeout=60)
        assert "on board" in caught.value.where


def test_a_killed_agent_is_told(server, model):
    with open_device(server.profile(**HERE)) as device:
        path = device.push(model)

        def kill() -> None:
            until(lambda: len(run_by(server.home)) >= 3)
            agent = [p for p in run_by(server.home) if "result.json" in p.cmdline()]
            max(agent, key=lambda p: p.create_time()).kill()

        threading.Thread(target=kill).start()
        with pytest.raises(StageError, match="without a result: killed by SIGKILL"):
            device.run({"model": path, **LONG}, timeout=600)


def test_words_are_never_read_as_program(server, model, tmp_path):
    folder = "it's $(touch ~/pwned) `touch ~/pwned`; touch ~/pwned \"&\n*"
    with remote(server.profile(folder=folder, **HERE)) as device:
        job = {"model": device.push(model), "made up": "'; touch ~/pwned '$(touch ~/pwned)"}
        assert device.run({**job, **SHORT}, timeout=60)["ok"]
        assert str(device.folder) == f"{server.home}/{folder}"
    assert not (server.home / "pwned").exists()


def test_a_login_shell_that_talks_disturbs_nothing(server, model, tmp_path):
    np.save(tmp_path / "x.npy", Tiny().samples(3))
    rc = server.home / ".bashrc"
    rc.write_text("echo welcome, it is a fine day; echo\n")
    try:
        with open_device(server.profile(**HERE)) as device:
            job = {"model": device.push(model), "inputs": device.push(tmp_path / "x.npy")}
            device.run({**job, "outputs": "y.npy", **SHORT}, timeout=60)
            device.pull("y.npy", tmp_path / "y.npy")
            assert len(np.load(tmp_path / "y.npy")) == 3
    finally:
        rc.unlink()


def test_a_changed_host_key(server, tmp_path):
    make_key(tmp_path / "other")
    server.know(tmp_path / "other.pub")
    try:
        with pytest.raises(StageError, match="another one than before") as caught:
            open_device(server.profile(**HERE)).connect()
    finally:
        server.know(server.folder / "host.pub")
    assert f"{server.known_hosts}, line 1" in caught.value.where
    assert "ssh-keygen -f" in caught.value.fix and "do not connect" in caught.value.fix


def test_the_told_command_drops_the_old_key(server, tmp_path):
    make_key(tmp_path / "another")
    server.know(tmp_path / "another.pub")
    try:
        with pytest.raises(StageError) as caught:
            open_device(server.profile(**HERE)).connect()
        command = caught.value.fix.partition("(")[2].partition(")")[0]
        subprocess.run(command.split(), check=True, capture_output=True)
        assert server.known_hosts.read_text() == ""
        with pytest.raises(StageError, match="host key is not known") as caught:
            open_device(server.profile(**HERE)).connect()
        assert "fingerprint" in caught.value.fix
        assert server.known_hosts.read_text() == ""  # nothing is taken on trust
    finally:
        server.know(server.folder / "host.pub")


def test_no_permission(server):
    authorized = server.folder / "authorized"
    kept = authorized.read_text()
    authorized.write_text("")
    try:
        with pytest.raises(StageError, match="does not let this user in") as caught:
            open_device(server.profile(**HERE)).connect()
    finally:
        authorized.write_text(kept)
    assert "ssh-copy-id" in caught.value.fix


def test_nobody_answers(server):
    with pytest.raises(StageError, match="cannot be reached") as caught:
        open_device(server.profile(free_port(), **HERE)).connect()
    assert "refused" in caught.value.where


def test_no_python(server):
    with pytest.raises(StageError, match="no Python on the device") as caught:
        open_device(server.profile(python="python3.99")).connect()
    assert "python3.99" in caught.value.where and "python3-venv" in caught.value.fix


def test_an_old_python(server, tmp_path):
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\necho \'{"folder": "/", "job": "/nowhere", "python": [3, 7, 3]}\'\n')
    old.chmod(0o755)
    with pytest.raises(StageError, match=r"too old: 3\.7\.3"):
        open_device(server.profile(python=str(old))).connect()


def test_a_full_disk(server, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        with remote(server.profile(folder=str(disk / "edgekd"), **HERE)) as device:
            with pytest.raises(StageError, match="disk is full") as caught:
                device.push(big_file(tmp_path / "large.npy", 1_000_000))
            assert "large.npy on board" in caught.value.where
            assert str(disk / "edgekd") in caught.value.fix
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StageError, match="folder cannot be written"):
        open_device(server.profile(folder=str(tmp_path / "file" / "x"), **HERE)).connect()


@pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="needs Debian's python3")
class TestEnvironment:
    """A device whose Python has neither numpy nor a runtime."""

    @pytest.mark.slow
    @pytest.mark.parametrize("internet", [True, False])
    def test_it_is_made_once(self, tmp_path, model, internet, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        folder = tmp_path / "sshd"
        folder.mkdir()
        server = Sshd(folder, "" if internet else "PIP_INDEX_URL=http://127.0.0.1:9/simple")
        try:
            settings = server.profile(runtimes=["litert"])
            with remote(settings) as device:
                assert device.facts["modules"] == []
                assert device.run({"model": device.push(model), **SHORT}, timeout=120)["ok"]
                assert "/env-" in device.python
                made = device.sent_bytes
            assert (made < 100_000) == internet
            assert (tmp_path / "cache/edgekd/wheels").is_dir() != internet
            with remote(settings) as device:
                assert device.run({"model": device.push(model), **SHORT}, timeout=120)["ok"]
                assert device.sent_bytes < 10_000
        finally:
            server.stop()
