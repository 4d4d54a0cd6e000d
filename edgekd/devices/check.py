"""What `edgekd devices` shows: the profiles there are, what a device says, a shell on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekd.config.device import DeviceSettings
from edgekd.config.load import load_device, own_devices, shipped
from edgekd.devices import open_device
from edgekd.errors import ConfigError, StageError

HEADER = ("name", "where", "description")


def profiles(base: Path | None = None) -> list[tuple[str, ...]]:
    """`HEADER` and a row for each profile: those of the folder `devices` here, and shipped ones.

    Raises:
        ConfigError: a profile is wrong.
    """
    names = {**shipped("devices"), **own_devices(base)}
    rows = []
    for name in sorted(names):
        found = load_device(names[name])
        rows.append((name, place(found), found.description))
    return [HEADER, *rows]


def place(settings: DeviceSettings) -> str:
    """Where a device is, in a few words."""
    if settings.kind == "ssh":
        user = f"{settings.user}@" if settings.user else ""
        return f"ssh {user}{settings.host}" + (f":{settings.port}" if settings.port else "")
    if settings.kind == "browser":
        return f"a browser, by a page at {settings.host or '127.0.0.1'}"
    if settings.kind == "adb":
        return f"adb {settings.serial or ''}".rstrip()
    return f"QEMU {settings.processor}" if settings.kind == "emulator" else "this machine"


def examine(settings: DeviceSettings) -> list[tuple[str, str]]:
    """What a device says about itself, as rows of a name and a text. Makes it ready for jobs.

    Raises:
        StageError: it cannot be reached, or lacks what is needed.
    """
    from edgekd.devices.android import AndroidDevice
    from edgekd.devices.remote import RemoteDevice

    start = time.monotonic()
    with open_device(settings) as device:
        seconds = time.monotonic() - start
        state = device.state()
        rows = [("reached", f"{place(settings)}, in {seconds:.1f} s"), *_facts(state)]
        if settings.kind == "emulator":
            rows.append(("counts", ". ".join(device.notes) or "instructions of an inference"))
        if isinstance(device, RemoteDevice):
            rows.append(("folder", str(device.folder)))
            rows.append(("free space", f"{device.facts['free_bytes'] / 1e9:.1f} GB"))
            if state["python"]:
                rows.append(("python", f"{state['python']}, {device.python}"))
        if isinstance(device, AndroidDevice):
            rows += device.told()
        if "browser" in state:
            told = state["browser"]
            rows.append(("browser", told["user_agent"]))
            rows.append(("isolated", "yes" if told["cross_origin_isolated"] else "no: one thread"))
            rows.append(("clock", f"steps of {told['timer_us']:.3g} µs"))
            rows.append(("WebGPU", told["webgpu"] or "none"))
    return rows


def _facts(state: dict[str, Any]) -> list[tuple[str, str]]:
    load = state["load_average"]
    return [
        ("system", state["system"]),
        ("processor", state["processor"]),
        ("cores", str(state["cores"])),
        (
            "memory",
            f"{state['memory_bytes'] / 1e9:.1f} GB" if state["memory_bytes"] else "not told",
        ),
        ("instructions", " ".join(state["instructions"]) or "none that edgekd knows"),
        ("governor", state["governor"] or "not known"),
        ("load", "not known" if load is None else f"{load:.1f}"),
        *([("numpy", state["numpy"])] if state.get("numpy") else []),
        *((name, version) for name, version in state["runtimes"].items()),
    ]


def shell_command(settings: DeviceSettings) -> list[str]:
    """The command that opens a shell on a device, for a terminal.

    Raises:
        ConfigError: it is this machine.
    """
    from edgekd.devices import adb, arm64_root, emulator, ssh

    if settings.kind == "local":
        raise ConfigError("This device is the machine that you are on.", where=settings.name)
    if settings.kind == "browser":
        raise ConfigError("A browser has no shell.", where=settings.name)
    if settings.kind == "adb":
        return [adb.client(), "-s", adb.chosen(settings), "shell"]
    if settings.kind == "emulator":
        root = arm64_root.create(settings.name)
        return emulator.enter(root, settings.processor, "bash")
    return ssh.client(settings, "-t")


def create(settings: DeviceSettings, say: Callable[[str], None]) -> Path:
    """Makes an emulator's root, if it is not there.

    Args:
        say: is told what is being done.

    Raises:
        ConfigError: the device is none that is made.
        StageError: something is missing on this machine, or a download failed.
    """
    from edgekd.devices import arm64_root, counter

    if settings.kind != "emulator":
        raise ConfigError("Only emulators are made.", where=f"{settings.name}: {settings.kind}")
    root = arm64_root.create(settings.name, say)
    say("the counter of instructions")
    try:
        counter.around(root, settings.name)
    except StageError as error:  # jobs run without it
        say(f"none: {error}")
    return root
