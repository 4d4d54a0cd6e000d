"""The machine that runs edgekd, as a device: each job is a fresh process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.config.device import DeviceSettings
from edgekd.devices.answers import read_result, took_too_long
from edgekd.devices.base import Device
from edgekd.errors import StageError

AGENT = Path(__file__).resolve().parents[1] / "agent" / "agent.py"


class LocalDevice(Device):
    """Runs jobs in processes of the current Python."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._jobs = 0

    @property
    def name(self) -> str:
        """The profile's name."""
        return self._settings.name

    @property
    def timed(self) -> bool:
        """See `Device.timed`."""
        return True

    @property
    def notes(self) -> Sequence[str]:
        """See `Device.notes`."""
        return ()

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
        self._jobs += 1
        order = Path(self._folder.name) / f"job{self._jobs}.json"
        answer = Path(self._folder.name) / f"result{self._jobs}.json"
        order.write_text(json.dumps(job), encoding="utf-8")
        what = f"{job.get('model') or 'its state'} on {self.name}"
        command = [sys.executable, str(AGENT), str(order), str(answer)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                cwd=self._folder.name,
            )
        except subprocess.TimeoutExpired as error:
            raise took_too_long(timeout, what) from error
        text = answer.read_text(encoding="utf-8") if answer.is_file() else None
        return read_result(text, what, done.returncode, done.stderr.decode("utf-8", "replace"))

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
