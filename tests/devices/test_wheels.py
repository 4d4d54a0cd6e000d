"""Which wheels a device can run, against what `packaging` says of this machine."""

from __future__ import annotations

import platform

import pytest
from packaging import tags

from edgekd.devices import wheels
from edgekd.errors import StageError


def facts(machine: str, libc: tuple[str, str] = ("glibc", "2.36"), bits: int = 64) -> dict:
    return {"machine": machine, "libc": libc, "bits": bits, "python": [3, 11, 2]}


def test_this_machines_tags_are_those_of_packaging():
    name, version = platform.libc_ver()
    mine = wheels.platform_tags(facts(platform.machine(), (name, version)))
    known = list(tags.platform_tags())
    assert set(mine) <= set(known)
    assert mine[0] == next(tag for tag in known if tag.startswith("manylinux"))


def test_boards():
    assert wheels.platform_tags(facts("aarch64"))[0] == "manylinux_2_36_aarch64"
    assert "manylinux2014_aarch64" in wheels.platform_tags(facts("aarch64"))
    # Raspberry Pi OS of 32 bits under a kernel of 64
    assert wheels.platform_tags(facts("aarch64", bits=32))[0] == "manylinux_2_36_armv7l"


def test_a_system_without_glibc_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(StageError, match="not to be had") as caught:
        wheels.download(facts("aarch64", ("", "")), ["numpy"], "router", "pip: no network")
    assert "router" in caught.value.where and "no network" in caught.value.where
