"""Where a job runs: devices, and the facts about a machine."""

from __future__ import annotations

from edgekd.config.device import DeviceSettings
from edgekd.devices.base import Device
from edgekd.devices.local import LocalDevice

__all__ = ["Device", "LocalDevice", "open_device"]


def open_device(settings: DeviceSettings) -> Device:
    """The device of a profile, not yet connected: use it in a `with` statement."""
    if settings.kind == "local":
        return LocalDevice(settings)
    if settings.kind == "browser":
        from edgekd.devices.browser import BrowserDevice

        return BrowserDevice(settings)
    from edgekd.devices.remote import RemoteDevice

    if settings.kind == "emulator":
        from edgekd.devices.emulator import EmulatorShell

        return RemoteDevice(settings, EmulatorShell(settings))
    from edgekd.devices.ssh import SshShell

    return RemoteDevice(settings, SshShell(settings))
