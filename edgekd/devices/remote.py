"""A device that is reached through a shell: files by their content's hash, jobs by the agent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from edgekd.config.device import DeviceSettings
from edgekd.devices import scripts
from edgekd.devices.answers import OVER, read_result, tail, took_too_long
from edgekd.devices.base import Device, closed_on_failure
from edgekd.devices.local import AGENT
from edgekd.errors import StageError

ATTACHED = AGENT.with_name("attached.py")
SHORT = 120.0
"""Seconds for what is no job and no transfer."""
SLOWEST = 20_000
"""Octets a second: a transfer may take as long as it does at this speed, and `SHORT`."""
GRACE = 15.0
"""Seconds by which a device ends a job itself before it is given up here."""


class Shell(Protocol):
    """A way to a POSIX shell on the device."""

    around: Sequence[str]
    """Words before the agent's command, such as an emulator that counts its instructions."""
    notes: Sequence[str]
    """What is missing there, though jobs run, and what to do."""

    def open(self) -> None:
        """Raises StageError: it cannot be reached."""
        ...

    def close(self) -> None: ...

    def command(self, script: str, arguments: Sequence[str]) -> list[str]:
        """What to start here, so that `sh` runs the script there."""
        ...

    def lost(self, code: int, stderr: str) -> bool:
        """Whether a command ended because the way to the device did."""
        ...


@dataclass(frozen=True)
class Done:
    """How a script ended."""

    code: int
    out: bytes
    """Without what a login shell printed before."""
    stderr: str


class RemoteDevice(Device):
    """Runs jobs through a shell.

    What a device holds lies in one folder: `files/` by their hash, `jobs/` one folder a
    connection, and one `env-*` for each Python environment that was made.
    """

    def __init__(self, settings: DeviceSettings, shell: Shell) -> None:
        self.settings = settings
        self.sent_bytes = 0
        """Octets that went to the device as files and jobs, to see what is sent twice."""
        self.facts: dict[str, Any] = {}
        """Python's version, the machine and so on; see `scripts.FACTS`."""
        self.python = settings.python
        """What runs jobs: an environment's Python, or the device's own."""
        self.folder = PurePosixPath()
        self._shell = shell
        self._jobs: str | None = None
        self._there: set[str] = set()
        self._agent = self._attached = ""

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.settings.name

    @property
    def timed(self) -> bool:
        """See `Device.timed`."""
        return self.settings.kind != "emulator"

    @property
    def notes(self) -> Sequence[str]:
        """See `Device.notes`."""
        return self._shell.notes

    def connect(self) -> None:
        """Reaches the device, brings the agent there and makes its Python environment.

        Raises:
            StageError: it cannot be reached, or lacks what is needed.
        """
        from edgekd.devices.environment import prepare

        if self._jobs is not None:
            return
        self._shell.open()
        with closed_on_failure(self):
            done = self.do(
                scripts.CONNECT, self.settings.folder, self.settings.python, scripts.FACTS
            )
            self.facts = json.loads(done.out)
            self.folder, self._jobs = PurePosixPath(self.facts["folder"]), self.facts["job"]
            check_python(self.facts, self.name)
            self._attached, self._agent = self.push(ATTACHED), self.push(AGENT)
            self.python = prepare(self, self._attached)

    def push(self, file: Path) -> str:
        """See `Device.push`. A transfer that was cut off goes on where it was."""
        return self.push_all([file])[0]

    def push_all(self, files: Sequence[Path]) -> list[str]:
        """Like `push`, of several files, asking once which of them are there."""
        names = [stored_name(file) for file in files]
        asked = [name for name in dict.fromkeys(names) if name not in self._there]
        if asked:
            done = self.do(scripts.HAVE, str(self.folder), *asked)
            states = dict(zip(asked, done.out.decode("ascii").split(), strict=True))
            for name, file in dict(zip(names, files, strict=True)).items():
                if states.get(name, "whole") != "whole":
                    self._send(file, name, int(states[name]))
            self._there |= set(names)
        return [str(self.folder / "files" / name) for name in names]

    def _send(self, file: Path, name: str, there: int) -> None:
        size = file.stat().st_size
        start = there if there < size else 0
        with file.open("rb") as content:
            content.seek(start)
            arguments = (
                str(self.folder),
                name,
                name.partition(".")[0],
                str(size),
                "go on" if start else "new",
            )
            seconds = SHORT + (size - start) / SLOWEST
            self.do(scripts.APPEND, *arguments, stdin=content, timeout=seconds, what=str(file))
        self.sent_bytes += size - start

    def run(self, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        """See `Device.run`. The job ends when the connection does."""
        what = f"{job.get('model') or 'its state'} on {self.name}"
        line = json.dumps(job).encode() + b"\n"
        self.sent_bytes += len(line)
        seconds = str(max(1, int(timeout)))
        done = self.do(
            scripts.RUN,
            *(self._job_folder(), self.python, self._attached, seconds),
            *(*self._shell.around, self.python, self._agent),
            line=line,
            timeout=timeout + GRACE,
            what=what,
            known=range(256),
        )
        if done.code == OVER:
            raise took_too_long(timeout, what)
        if done.code == scripts.NOT_WRITTEN or (not done.out and full(done.stderr)):
            raise self.disk_full(what)
        answer = done.out.decode("utf-8", "replace") or None
        return read_result(answer, what, 128 - done.code if done.code > 128 else done.code,
                           done.stderr)  # fmt: skip

    def pull(self, name: str, to: Path) -> None:
        """See `Device.pull`."""
        assert "/" not in name
        done = self.do(scripts.PULL, self._job_folder(), name, known=range(256), timeout=10 * SHORT)
        if done.code:
            raise StageError(
                "A job left a file out that it was to write.", where=f"{name} on {self.name}"
            )
        to.write_bytes(done.out)

    def state(self) -> dict[str, Any]:
        """See `Device.state`."""
        return self.run({}, SHORT)["machine"]

    def _job_folder(self) -> str:
        if self._jobs is None:
            raise StageError("The device is not connected.", where=self.name)
        return self._jobs

    def do(
        self,
        script: str,
        *arguments: str,
        stdin: IO[bytes] | None = None,
        line: bytes = b"",
        timeout: float = SHORT,
        what: str = "",
        known: Sequence[int] = (0,),
    ) -> Done:
        """Runs one of `scripts` on the device.

        Args:
            stdin: a file for it.
            line: or this, after which stdin stays open until the script ends.
            timeout: seconds.
            what: names the work in errors.
            known: exit codes that the caller looks at.

        Raises:
            StageError: the connection dropped, the time is over, or another exit code came.
        """
        what = what or self.name
        command = self._shell.command(script, arguments)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given = subprocess.PIPE if stdin is None else stdin
            process = subprocess.Popen(command, stdin=given, stdout=out, stderr=err)
            try:
                if process.stdin is not None:
                    _write(process.stdin, line)
                process.wait(timeout)
            except subprocess.TimeoutExpired as error:
                raise took_too_long(timeout, what) from error
            finally:
                process.kill()
                process.wait()
                if process.stdin is not None:
                    _close(process.stdin)
            out.seek(0)
            err.seek(0)
            _login, _mark, answer = out.read().partition(scripts.MARK)
            stderr = err.read().decode("utf-8", "replace")
        done = Done(process.returncode, answer, stderr.replace(scripts.END, ""))
        if self._shell.lost(done.code, stderr):
            raise StageError(
                "The connection to the device dropped.",
                where=what if self.name in what else f"{what}, to {self.name}",
                fix="run the same command again: what arrived is not sent again",
            )
        if done.code not in known:
            raise self._explained(done, what)
        return done

    def _explained(self, done: Done, what: str) -> StageError:
        place, there = f"{what} on {self.name}" if what != self.name else what, self.settings
        if full(done.stderr):
            return self.disk_full(place)
        told = tail(done.stderr)
        if done.code == scripts.NO_PYTHON:
            return StageError(
                "There is no Python on the device.",
                where=f"{self.name}: {there.python}",
                fix="install it there (Debian: apt install python3 python3-venv), or name it in "
                "the profile's field python",
            )
        if done.code in (scripts.NO_FOLDER, scripts.NOT_WRITTEN):
            return StageError(
                "The device's folder cannot be written.",
                where=f"{self.name}: {there.folder}\n{told}",
                fix="name another in the profile's field folder",
            )
        if done.code in (scripts.NOT_WHOLE, scripts.CUT_OFF):
            return StageError(
                "A file did not arrive whole.", where=place, fix="run the same command again"
            )
        return StageError(f"The device answered with exit code {done.code}.",
                          where=f"{place}\n{told}")  # fmt: skip

    def disk_full(self, what: str) -> StageError:
        """The error of a device without space."""
        return StageError(
            "The device's disk is full.",
            where=what,
            fix=f"free space there; all that edgekd keeps there is in {self.settings.folder}",
        )

    def close(self) -> None:
        """Removes the job's folder and ends the connection."""
        try:
            if self._jobs is not None:
                self.do(scripts.REMOVE, self._jobs)
        except StageError:  # the device is gone: it removes what was left at the next connection
            pass
        finally:
            self._jobs = None
            self._there.clear()
            self._shell.close()


def stored_name(file: Path) -> str:
    """What a file is called on a device: its content's SHA-256 and its ending.

    Raises:
        StageError: it cannot be read.
    """
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() + file.suffix.lower()
    except OSError as error:
        raise StageError("A file for the device cannot be read.", where=str(error)) from error


def check_python(facts: dict[str, Any], name: str) -> None:
    """Raises StageError: the device's Python is too old for the agent."""
    version = facts["python"]
    if version < [3, 9]:
        raise StageError(
            f"The device's Python is too old: {'.'.join(map(str, version))}.",
            where=name,
            fix="install Python 3.9 or newer there and name it in the profile's field python",
        )


def full(stderr: str) -> bool:
    """Whether a program says that a disk is full (errno ENOSPC or EDQUOT)."""
    return "No space left on device" in stderr or "Disk quota exceeded" in stderr


def _write(stdin: IO[bytes], line: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # the exit code and stderr say why
        stdin.write(line)
        stdin.flush()


def _close(stdin: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):
        stdin.close()
