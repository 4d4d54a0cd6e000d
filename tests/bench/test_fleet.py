"""Patterns of devices, and devices that work at once."""

from __future__ import annotations

import json
import threading

import pytest

from edgekd.bench import fleet
from edgekd.bench.fleet import named_devices, on_each
from edgekd.config.device import DeviceSettings
from edgekd.errors import ConfigError, StageError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "devices").mkdir()
    for name in ("pi-garden", "pi-attic", "jetson"):
        text = json.dumps({"name": name, "kind": "ssh", "host": name})  # JSON is YAML
        (tmp_path / "devices" / f"{name}.yaml").write_text(text)
    return tmp_path


def test_patterns_are_names_of_own_profiles(folder):
    assert named_devices(["local", "pi-*"], folder) == ("local", "pi-attic", "pi-garden")
    assert named_devices(["pi-attic", "*"], folder) == ("pi-attic", "jetson", "pi-garden")
    assert named_devices(["nobody"], folder) == ("nobody",)  # refused where it is looked up
    with pytest.raises(ConfigError, match="No device profile matches") as caught:
        named_devices(["phone-?"], folder)
    assert "jetson, pi-attic, pi-garden" in caught.value.where
    with pytest.raises(ConfigError, match="No device profile matches"):
        named_devices(["*"], folder / "devices")


def board(name: str, host: str) -> DeviceSettings:
    return DeviceSettings(name=name, kind="ssh", host=host)


def test_boards_work_at_once_and_this_machine_after_them():
    meeting = threading.Barrier(2, timeout=60)  # two boards must be at work at the same time
    at_work: set[str] = set()

    def measure(device: DeviceSettings) -> str:
        if device.kind == "ssh":
            meeting.wait()
        assert not at_work if device.kind == "local" else "local" not in at_work
        at_work.add(device.name)
        at_work.discard(device.name)
        return device.name.upper()

    devices = [DeviceSettings(name="local"), board("a", "one"), board("b", "two")]
    done, failed = on_each(devices, measure)
    assert list(done.items()) == [("local", "LOCAL"), ("a", "A"), ("b", "B")] and failed == {}


def test_two_names_of_one_board_take_turns():
    at_work = threading.Semaphore(1)

    def measure(device: DeviceSettings) -> str:
        assert at_work.acquire(blocking=False)
        try:
            return device.name
        finally:
            at_work.release()

    done, _failed = on_each([board("a", "one"), board("b", "one")], measure)
    assert list(done) == ["a", "b"]


def test_a_board_is_tried_once_more_and_stops_nobody(monkeypatch):
    monkeypatch.setattr(fleet, "PAUSE", 0.0)
    tries: list[str] = []

    def measure(device: DeviceSettings) -> int:
        tries.append(device.name)
        if device.name == "gone" or (device.name, len(tries)) == ("dropped", 3):
            raise StageError(f"{device.name} cannot be reached.")
        if device.name == "local":
            raise StageError("The file does not run.")
        return len(tries)

    one_after_the_other = [board("gone", "one"), board("dropped", "one"), board("b", "one")]
    done, failed = on_each([DeviceSettings(name="local"), *one_after_the_other], measure)
    assert tries == ["gone", "gone", "dropped", "dropped", "b", "local"]
    assert done == {"dropped": 4, "b": 5}
    assert list(failed) == ["local", "gone"] and "gone" in str(failed["gone"])


def test_nothing_is_begun_after_ctrl_c(monkeypatch):
    """The key ends the ssh clients as well, so that a board fails while the rest is left."""
    monkeypatch.setattr(fleet, "PAUSE", 60.0)  # it is over as soon as the key is known of
    tries: list[str] = []
    begun = threading.Event()

    def measure(device: DeviceSettings) -> int:
        tries.append(device.name)
        if device.name == "a":
            assert begun.wait(60)
            raise KeyboardInterrupt
        begun.set()
        raise StageError("The connection to the device dropped.")

    devices = [
        board("a", "one"),
        board("b", "two"),
        board("c", "two"),
        DeviceSettings(name="local"),
    ]
    with pytest.raises(KeyboardInterrupt):
        on_each(devices, measure)
    assert sorted(tries) == ["a", "b"]
