"""An Android phone as a device, with a Python on it: edgekd's agent measures."""

from __future__ import annotations

from typing import Any

from edgekd.config.device import DeviceSettings
from edgekd.devices import android_scripts as scripts
from edgekd.devices.adb import AdbShell
from edgekd.devices.android_facts import (
    AndroidFacts,
    cores_of,
    doubts,
    mask_of,
    read_facts,
    read_state,
)
from edgekd.devices.base import closed_on_failure
from edgekd.devices.remote import RemoteDevice
from edgekd.errors import StageError


class AndroidDevice(RemoteDevice):
    """A phone with a Python: the agent measures, and Android tells of its cores, heat and battery,
    which the agent may not read.
    """

    def __init__(self, settings: DeviceSettings, shell: AdbShell) -> None:
        super().__init__(settings, shell)
        self.adb = shell
        self.cores: tuple[int, ...] = ()
        """Those that measure."""
        self._android: AndroidFacts | None = None

    @property
    def android(self) -> AndroidFacts:
        """What the phone says about itself.

        Raises:
            StageError: it was not reached yet.
        """
        if self._android is None:
            raise StageError("The device is not connected.", where=self.name)
        return self._android

    def connect(self) -> None:
        """See `Device.connect`."""
        super().connect()
        with closed_on_failure(self):
            self._look()

    def _look(self) -> None:
        """Reads the phone's facts; from then on jobs run on the profile's cores."""
        self._android = read_facts(self.adb.read(scripts.FACTS))
        self.cores = cores_of(self.android, self.settings.use_cores, self.name)
        if len(self.cores) < len(self.android.cores):
            self.adb.around = ["taskset", mask_of(self.cores)]

    def run(self, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        """See `Device.run`. What the agent cannot read of the phone is filled in."""
        before = self.phone_state()
        result = super().run(job, timeout)
        after = self.phone_state()
        if "machine" not in result:  # a profile
            return result
        result["machine"] |= {
            "system": self.android.system,
            "processor": self.android.processor,
            "clocks_mhz": list(self.android.clocks_mhz.values()),
        }
        if "before" not in result:
            return result
        always, again = doubts(before, after)
        result["warnings"] += [text for text in always + again if text not in result["warnings"]]
        result["disturbed"] += again
        for name, state in (("before", before), ("after", after)):
            seen = {key: value for key, value in result[name].items() if value is not None}
            result[name] = machine_state(state) | seen
        return result

    def phone_state(self) -> dict[str, Any]:
        """What changes, now; see `android_facts.read_state`."""
        text = self.adb.read(scripts.STATE)
        return read_state(text, self.cores, len(self.android.cores))

    def told(self) -> list[tuple[str, str]]:
        """Rows for `edgekd devices check`."""
        state = self.phone_state()
        charge, heat, status = (
            state[key] for key in ("battery_percent", "temperature_c", "thermal_status")
        )
        power = (
            "" if state["powered"] is None else ", plugged in" if state["powered"] else ", in use"
        )
        saver = ", battery saver on" if state["battery_saver"] else ""
        used = ", ".join(map(str, self.cores))
        return [
            ("serial", self.adb.serial),
            ("measures on", f"cores {used} of {len(self.android.cores)}"),
            ("battery", "not known" if charge is None else f"{charge:.0f} %{power}{saver}"),
            ("heat", "not known" if heat is None else f"{heat:.0f} °C, thermal status {status}"),
        ]


def machine_state(state: dict[str, Any]) -> dict[str, Any]:
    """As `edgekd.bench.result.MachineState` has it."""
    return {name: value for name, value in state.items() if name != "battery_saver"}
