"""Several devices in one measurement: by patterns, at once where they do not disturb each other."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from edgekd.config.device import DeviceSettings
from edgekd.errors import ConfigError, StageError

T = TypeVar("T")
WILD = "*?["
"""What makes a name a pattern, as in a shell."""
PAUSE = 0.5
"""Seconds before a board is tried once more."""


def named_devices(names: Sequence[str], base: Path | None = None) -> tuple[str, ...]:
    """Names of device profiles, each once; `pi-*` becomes those of the folder `devices` that match.

    Shipped profiles are examples and are taken by their names only.

    Raises:
        ConfigError: a pattern matches nothing.
    """
    from edgekd.config.load import own_devices

    own = sorted(own_devices(base))
    found: list[str] = []
    for name in names:
        if not set(WILD) & set(name):
            found.append(name)
            continue
        matching = fnmatch.filter(own, name)
        if not matching:
            raise ConfigError(
                "No device profile matches.",
                where=f"{name}; the folder devices has {', '.join(own) or 'no profiles'}",
                fix="quote the pattern, so that the shell leaves it alone, or write a profile",
            )
        found += matching
    return tuple(dict.fromkeys(found))


def on_each(
    devices: Sequence[DeviceSettings], measure: Callable[[DeviceSettings], T]
) -> tuple[dict[str, T], dict[str, StageError]]:
    """What is measured on each device, by name and in the order given, and those that failed.

    Boards at the other end of ssh work at once, those of one address one after the other. What
    runs on this machine (`local`, emulators) comes after them and takes turns, so that nothing else
    is at work here while it is timed. A board that fails is tried once more: connections drop.

    Ctrl-C reaches the ssh clients, too, so that boards fail with it: nothing is begun after it.
    """
    done: dict[str, T] = {}
    failed: dict[str, StageError] = {}
    stopped = threading.Event()

    def attempt(group: Sequence[DeviceSettings]) -> None:
        for device in group:
            if stopped.is_set():
                return
            try:
                done[device.name] = _twice(device, measure, stopped)
            except StageError as error:
                failed[device.name] = error

    boards: dict[tuple[str | None, int | None], list[DeviceSettings]] = {}
    for device in devices:
        if device.kind == "ssh":
            boards.setdefault((device.host, device.port), []).append(device)
    if boards:
        with ThreadPoolExecutor(len(boards)) as pool:
            try:
                list(pool.map(attempt, boards.values()))
            except BaseException:
                stopped.set()
                raise
    attempt([device for device in devices if device.kind != "ssh"])
    order = [device.name for device in devices]
    return (
        {name: done[name] for name in order if name in done},
        {name: failed[name] for name in order if name in failed},
    )


def _twice(
    device: DeviceSettings, measure: Callable[[DeviceSettings], T], stopped: threading.Event
) -> T:
    try:
        return measure(device)
    except StageError:
        if device.kind != "ssh" or stopped.wait(PAUSE):
            raise
        return measure(device)
