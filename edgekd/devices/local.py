"""The machine that runs edgekd, as a device: each job is a fresh process."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgekd.config.device import DeviceSettings
from edgekd.devices.answers import ask
from edgekd.devices.base import Device
from edgekd.errors import StageError

AGENT = Path(__file__).resolve().parents[1] / "agent" / "agent.py"


class LocalDevice(Device):
    """Runs jobs in processes of the current Python."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def name(self) -> str:
        """The profile's name."""
        return self._settings.name

    def connect(self) -> None:
        """Makes the folder that jobs and results lie in."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="edgekd-")

    def push(self, file: Path) -> str:
        """Nothing to bring: files are used where they are."""
        return str(file.absolute())

    def run(self, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        """See `Device.run`."""
        if self._folder is None:
            raise StageError("The device is not connected.", where=self.name)
        what = f"{job.get('model') or 'its state'} on {self.name}"
        return ask([sys.executable, str(AGENT)], job, timeout, what, Path(self._folder.name))

    def pull(self, name: str, to: Path) -> None:
        """See `Device.pull`."""
        if self._folder is None:
            raise StageError("The device is not connected.", where=self.name)
        try:
            shutil.move(Path(self._folder.name) / name, to)
        except OSError as error:
            raise StageError(
                "A job left a file out that it was to write.", where=f"{name} on {self.name}"
            ) from error

    def state(self) -> dict[str, Any]:
        """See `Device.state`."""
        from edgekd.agent.agent import machine_facts

        return machine_facts()

    def close(self) -> None:
        """Removes the folder."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
