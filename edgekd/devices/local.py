"""The machine that runs edgekd, as a device: each job is a fresh process."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgekd.config.device import DeviceSettings
from edgekd.errors import StageError

AGENT = Path(__file__).resolve().parents[1] / "agent" / "agent.py"
TAIL_LINES = 12


class LocalDevice:
    """Runs jobs in processes of the current Python. Implements `Device`."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._jobs = 0

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
            raise StageError(
                f"Measuring was ended after {timeout:.0f} s.",
                where=what,
                fix="measure fewer runs, or a smaller model",
            ) from error
        return read_result(answer, what, done.returncode, done.stderr.decode("utf-8", "replace"))

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

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def read_result(answer: Path, what: str, code: int, stderr: str) -> dict[str, Any]:
    """The agent's result.

    Args:
        answer: the file that the agent wrote, if it came so far.
        what: names the job in errors.
        code: the agent's exit code; negative for a signal.
        stderr: what it printed; its end is shown where there is no result.

    Raises:
        StageError: there is no result, or it tells of an error.
    """
    tail = "\n".join(f"  | {line}" for line in stderr.strip().splitlines()[-TAIL_LINES:])
    if not answer.is_file():
        raise StageError(
            f"The benchmark's process ended without a result: {_ending(code)}.",
            where=f"{what}\n{tail}" if tail else what,
        )
    try:
        result = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError("A benchmark's result cannot be read.", where=what) from error
    if not result.get("ok"):
        place = result.get("where") or ""
        raise StageError(
            str(result.get("error")),
            where=f"{what}: {place}" if place not in what else what,
            fix=result.get("fix", ""),
        )
    return result


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    known = {s.value: s.name for s in signal.Signals}
    return f"killed by {known.get(-code, f'signal {-code}')}"
