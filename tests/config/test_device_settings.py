"""Device files: what fits together, and nothing that a shell or `ssh` could take for an option."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgekd.config.device import DeviceSettings
from edgekd.config.load import load_device, shipped
from edgekd.errors import ConfigError


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": "ssh"}, "host"),
        ({"host": "pi"}, "host: a device of kind local has no such field"),
        ({"kind": "emulator", "processor": "cortex-a72", "port": 22}, "port"),
        ({"kind": "emulator", "processor": "m1"}, "cortex-a53"),
        ({"kind": "ssh", "host": "-oProxyCommand=x"}, "host"),
        ({"kind": "ssh", "host": "a b"}, "host"),
        ({"kind": "ssh", "host": "pi", "user": "-l"}, "user"),
        ({"kind": "ssh", "host": "pi", "port": 0}, "port"),
        ({"kind": "ssh", "host": "pi", "python": "python3; reboot"}, "python"),
        ({"kind": "ssh", "host": "pi", "serial": "R58M"}, "serial"),
        ({"kind": "adb", "host": "pi"}, "host"),
        ({"kind": "adb", "serial": "-s x"}, "serial"),
        ({"kind": "adb", "serial": "a;reboot"}, "serial"),
        ({"kind": "adb", "runtimes": ["onnxruntime"]}, "runtimes"),
        ({"kind": "adb", "benchmark_model": "https://x.org/b"}, "benchmark_model_sha256"),
        ({"kind": "adb", "benchmark_model": "http://x.org/b"}, "benchmark_model"),
        ({"kind": "adb", "benchmark_model_sha256": "abc"}, "benchmark_model_sha256"),
        ({"kind": "adb", "use_cores": "fast"}, "use_cores"),
        ({"kind": "adb", "use_cores": []}, "use_cores"),
        ({"runtimes": ["tensorrt"]}, "runtimes"),
    ],
)
def test_mistakes(fields, told):
    with pytest.raises(ValidationError, match=told):
        DeviceSettings.model_validate({"name": "board", **fields})


def test_shipped_profiles_are_called_as_their_files():
    for name, path in shipped("devices").items():
        assert load_device(path).name == name


def test_a_projects_own_devices_come_first(tmp_path):
    (tmp_path / "devices").mkdir()
    text = "name: pi\nkind: ssh\nhost: 10.0.0.7\nssh_config: ../keys/config\n"
    (tmp_path / "devices" / "pi.yaml").write_text(text)
    found = load_device("pi", tmp_path)
    assert found.host == "10.0.0.7"
    assert found.ssh_config is not None
    assert found.ssh_config.resolve() == tmp_path.resolve() / "keys" / "config"
    assert load_device("devices/pi.yaml", tmp_path) == found
    with pytest.raises(ConfigError, match="no file pj"):
        load_device("pj", tmp_path)


def test_a_phone_without_python_runs_tflite_files_in_the_shells_folder(tmp_path):
    (tmp_path / "devices").mkdir()
    text = "name: phone\nkind: adb\nbenchmark_model: ../tools/benchmark_model\n"
    (tmp_path / "devices" / "phone.yaml").write_text(text)
    found = load_device("phone", tmp_path)
    assert found.runtimes == ("litert",) and not found.has_python
    assert found.folder == "/data/local/tmp/edgekd" and found.use_cores == "big"
    assert found.benchmark_model is not None
    assert Path(found.benchmark_model).resolve() == tmp_path.resolve() / "tools/benchmark_model"


def test_a_phones_python_brings_its_runtimes_and_its_apps_folder():
    given = {"name": "phone", "kind": "adb", "use_cores": [4, 5]}
    python = "/data/data/com.termux/files/usr/bin/python3"
    found = DeviceSettings.model_validate({**given, "python": python})
    assert found.has_python and found.runtimes == ("onnxruntime", "litert")
    assert found.folder == "/data/data/com.termux/files/home/.cache/edgekd"
    own = DeviceSettings.model_validate({**given, "python": "/data/local/tmp/python/bin/python3"})
    assert own.folder == "/data/local/tmp/edgekd" and own.use_cores == (4, 5)
