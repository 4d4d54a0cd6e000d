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
    if settings.kind == "adb":
        from edgekd.devices.adb import AdbShell
        from edgekd.devices.android import AndroidDevice
        from edgekd.devices.android_tool import BenchmarkModelDevice

        kind = AndroidDevice if settings.has_python else BenchmarkModelDevice
        return kind(settings, AdbShell(settings))
    from edgekd.devices.ssh import SshShell

    return RemoteDevice(settings, SshShell(settings))
