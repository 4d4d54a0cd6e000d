"""A shell on an Android phone, by Android's own debug bridge (`adb`)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.config.device import DeviceSettings, app_of
from edgekd.devices import scripts
from edgekd.devices.answers import tail
from edgekd.errors import StageError

PATIENCE = 60.0
"""Seconds for the client's own commands: the first of them starts its server."""
READY = "device"
STATES = (
    "device|offline|unauthorized|authorizing|connecting|recovery|sideload|rescue|bootloader|host"
)
LISTED = re.compile(rf"(\S+)\s+({STATES}|no permissions)\b(.*)")
TRUST = "unlock the phone and allow USB debugging in the dialog that it shows"
PREPARE = (
    "switch on USB debugging on the phone (Settings, Developer options), connect it, and see that "
    "`adb devices` lists it"
)
FIXES = {
    "unauthorized": TRUST,
    "authorizing": TRUST,
    "offline": "unplug the phone and plug it in again, or try adb reconnect offline",
    "no permissions": "let your user reach USB devices (Debian: apt install "
    "android-sdk-platform-tools-common, and be in the group plugdev), then adb kill-server",
}
"""What to do about a phone in a state; of others, it has to start as usual."""


@dataclass(frozen=True)
class Listed:
    """A line of `adb devices -l`."""

    serial: str
    state: str
    """`device` is the one that it can be worked with."""
    told: str
    """The model and so on, as adb writes it."""


def client() -> str:
    """The path of adb.

    Raises:
        StageError: there is none.
    """
    found = shutil.which("adb")
    if found is None:
        raise StageError(
            "There is no adb on this machine.",
            where="PATH",
            fix="Debian: apt install adb; others: Google's Android SDK Platform-Tools",
        )
    return found


def ask(*words: str, timeout: float = PATIENCE) -> str:
    """What the client says to a command of its own.

    Raises:
        StageError: it fails, or does not answer in time.
    """
    try:
        done = subprocess.run(
            [client(), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StageError(
            "adb does not answer.", where=f"adb {words[0]}", fix="adb kill-server, and try again"
        ) from error
    if done.returncode:
        said = (done.stderr + done.stdout).decode("utf-8", "replace")
        raise StageError("adb failed.", where=f"adb {shlex.join(words)}\n{tail(said)}")
    return done.stdout.decode("utf-8", "replace")


def listed() -> list[Listed]:
    """The phones that adb knows, in whatever state.

    Raises:
        StageError: adb does not answer.
    """
    found = (LISTED.match(line) for line in ask("devices", "-l").splitlines())
    return [Listed(line[1], line[2], line[3].strip()) for line in found if line]


def chosen(settings: DeviceSettings) -> str:
    """The serial number of a profile's phone, which is ready. Where several may be meant, none is.

    Raises:
        StageError: there is none, it is not clear which, or it is not ready.
    """
    name = settings.name
    wanted = settings.serial or os.environ.get("ANDROID_SERIAL")
    there = listed()
    if wanted and ":" in wanted and wanted not in {phone.serial for phone in there}:
        ask("connect", wanted)  # says so in words when it cannot: the list tells
        there = listed()
    if not there:
        raise StageError("No Android phone is connected.", where=name, fix=PREPARE)
    fitting = [phone for phone in there if wanted in (None, phone.serial)]
    if not fitting:
        raise StageError(
            f"The phone {wanted} is not connected.", where=f"{name}; {_shown(there)}", fix=PREPARE
        )
    if len(fitting) > 1:
        raise StageError(
            "Several Android phones are connected, and the profile does not say which is meant.",
            where=f"{name}; {_shown(fitting)}",
            fix=f"name it in the profile (serial: {fitting[0].serial}) or in the environment "
            f"(ANDROID_SERIAL={fitting[0].serial})",
        )
    phone = fitting[0]
    if phone.state != READY:
        raise _not_ready(phone, name)
    return phone.serial


def _shown(phones: Sequence[Listed]) -> str:
    return "connected are:" + "".join(f"\n    {p.serial} {p.state} {p.told}" for p in phones)


def _not_ready(phone: Listed, name: str) -> StageError:
    untrusted = FIXES.get(phone.state) == TRUST
    what = "The phone does not trust this machine yet." if untrusted else "The phone is not ready."
    return StageError(
        what,
        where=f"{name}: {phone.serial} is {phone.state}",
        fix=FIXES.get(phone.state, "let it start Android as usual"),
    )


class AdbShell:
    """A phone's shell. Implements `Shell`.

    What runs in it is the user of `adb shell`, or, where the profile names an app's Python, that
    app (`run-as`), whose files nobody else may read.
    """

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self.serial = ""
        self.around: Sequence[str] = ()
        self.notes: Sequence[str] = ()
        app = app_of(settings.python) if settings.has_python else None
        self._as: list[str] = []
        if app is not None:
            files = f"/data/data/{app}/files"
            environment = [f"HOME={files}/home", f"TMPDIR={files}/usr/tmp", f"PREFIX={files}/usr"]
            path = f"PATH={files}/usr/bin:/system/bin"
            self._as = ["run-as", app, "env", *environment, path]

    def open(self) -> None:
        """Raises StageError: no adb, not one phone that is ready, or one that is too old."""
        self.serial = chosen(self._settings)
        if "shell_v2" not in ask("-s", self.serial, "features").split():
            raise StageError(
                "This phone's Android is too old: its shell tells no exit codes.",
                where=f"{self._settings.name}: {self.serial}",
                fix="take one with Android 7 or newer",
            )

    def close(self) -> None:
        """Nothing stays open: adb's server is the user's."""

    def command(self, script: str, arguments: Sequence[str]) -> list[str]:
        """See `Shell.command`: the phone's shell gets one line, every word of it quoted."""
        return self.plain(*self._as, "sh", "-c", script, "edgekd", *arguments)

    def plain(self, *words: str) -> list[str]:
        """The command that runs `words` there as the user of `adb shell`."""
        line = f"{shlex.join(words)}; code=$?; echo {scripts.END.strip()} >&2; exit $code"
        return [client(), "-s", self.serial, "shell", "-T", line]

    def lost(self, code: int, stderr: str) -> bool:
        """See `Shell.lost`. The client's exit code may be 0 when the phone is gone."""
        del code
        return scripts.END not in stderr

    def read(self, script: str) -> str:
        """What a script prints that needs no input and no app. It may fail in parts.

        Raises:
            StageError: the phone is gone, or does not answer.
        """
        try:
            done = subprocess.run(
                self.plain("sh", "-c", script),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StageError("The phone does not answer.", where=self._settings.name) from error
        if self.lost(done.returncode, done.stderr.decode("utf-8", "replace")):
            raise self._dropped(self._settings.name)
        return done.stdout.decode("utf-8", "replace")

    def push(self, file: Path, to: str, timeout: float) -> None:
        """Sends a file by adb's own protocol.

        Raises:
            StageError: it did not arrive.
        """
        try:
            ask("-s", self.serial, "push", str(file.absolute()), to, timeout=timeout)
        except StageError as error:
            if not self._ready():
                raise self._dropped(f"{file}, to {self._settings.name}") from error
            raise

    def _ready(self) -> bool:
        try:
            return ask("-s", self.serial, "get-state").strip() == READY
        except StageError:
            return False

    def _dropped(self, what: str) -> StageError:
        return StageError(
            "The connection to the device dropped.",
            where=what,
            fix="connect the phone again and run the same command: what arrived is not sent again",
        )
