"""Device files: what fits together, and nothing that a shell or `ssh` could take for an option."""

from __future__ import annotations

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
