"""A shell on another machine, by the system's OpenSSH client."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from edgekd.config.device import DeviceSettings
from edgekd.errors import StageError

PATIENCE = 60.0
"""Seconds until a connection must stand; the client gives up earlier where nobody answers."""
OPTIONS = (
    "BatchMode=yes",  # nothing asks on a terminal: what is missing is an error that says what to do
    "ConnectTimeout=15",
    "ServerAliveInterval=10",  # a connection that is dead is noticed within 30 s
    "ServerAliveCountMax=3",
    "Compression=no",
    "ControlPersist=no",  # else the connection goes to the background, where nobody ends it
)
LOST = 255


class SshShell:
    """One connection, which all commands share. Implements `Shell`.

    Keys, known hosts, jump hosts and the like are those of the user's own OpenSSH configuration;
    nothing about host keys is changed.
    """

    around: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._master: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Raises StageError: no client, no answer, a wrong host key, no permission."""
        if shutil.which("ssh") is None:
            raise StageError(
                "There is no OpenSSH client on this machine.",
                where=self._settings.name,
                fix="Debian: apt install openssh-client",
            )
        # A socket's path may have 108 octets at most, so not where TMPDIR may point deep.
        self._folder = tempfile.TemporaryDirectory(prefix="edgekd-", dir="/tmp")
        said = Path(self._folder.name) / "said"
        with said.open("wb") as stderr:
            # It lasts as long as a `cat` there, which ends with its stdin: with this process,
            # whatever ended it. `ssh -N` would stay.
            self._master = subprocess.Popen(
                self._client("-o", "ControlMaster=yes", line="cat"),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for edgekd, which then ends it in order
            )
        until = time.monotonic() + PATIENCE
        while not Path(self._folder.name, "socket").exists():
            if self._master.poll() is not None or time.monotonic() > until:
                text = said.read_text(encoding="utf-8", errors="replace")
                self.close()
                raise explain(text, self._settings)
            time.sleep(0.02)

    def close(self) -> None:
        """Ends the connection, and with it whatever still runs through it."""
        if self._master is not None:
            self._master.terminate()
            self._master.wait()
            if self._master.stdin is not None:
                self._master.stdin.close()
            self._master = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def command(self, script: str, arguments: Sequence[str]) -> list[str]:
        """See `Shell.command`: the login shell there gets one line, every word of it quoted."""
        assert self._folder is not None
        words = shlex.join(["sh", "-c", script, "edgekd", *arguments])
        # With no other way than the connection that stands: a new one would hide that it dropped.
        return self._client("-o", "ControlMaster=no", "-o", "ProxyCommand=false", line=words)

    def lost(self, code: int, stderr: str) -> bool:
        """See `Shell.lost`."""
        del stderr
        return code == LOST or self._master is None or self._master.poll() is not None

    def _client(self, *options: str, line: str | None = None) -> list[str]:
        assert self._folder is not None
        told = [f"ControlPath={self._folder.name}/socket", *OPTIONS]
        both = [word for option in told for word in ("-o", option)]
        command = client(self._settings, *both, *options)
        return command if line is None else [*command, line]


def client(settings: DeviceSettings, *options: str) -> list[str]:
    """The `ssh` command for a device, up to its address."""
    config = ["-F", str(settings.ssh_config)] if settings.ssh_config else []
    user = ["-l", settings.user] if settings.user else []
    port = ["-p", str(settings.port)] if settings.port else []
    return ["ssh", *config, *user, *port, *options, "--", str(settings.host)]


def explain(said: str, settings: DeviceSettings) -> StageError:
    """The error for what OpenSSH's client said when it did not connect."""
    host = settings.host or ""
    named = f"[{host}]:{settings.port}" if settings.port not in (None, 22) else host
    by_hand = shlex.join(client(settings))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "no answer"
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        known = re.search(r"Offending .* key in (.+):(\d+)", said)
        file, line = known.groups() if known else ("known_hosts", "?")
        return StageError(
            "The device's host key is another one than before.",
            where=f"{settings.name}: {host}; the key that is known is in {file}, line {line}",
            fix="if the device was set up anew, drop the old key (ssh-keygen -f "
            f"{shlex.quote(file)} -R {shlex.quote(named)}) and compare the new one when you connect"
            f" by hand ({by_hand}); if not, somebody may answer in its place: do not connect",
        )
    if "Host key verification failed" in said:
        return StageError(
            "The device's host key is not known on this machine.",
            where=f"{settings.name}: {host}",
            fix=f"connect once by hand and compare its fingerprint: {by_hand}",
        )
    if "Permission denied" in said:
        return StageError(
            "The device does not let this user in.",
            where=f"{settings.name}: {last}",
            fix=f"give it your public key once (ssh-copy-id), until this works without a password: "
            f"{by_hand}",
        )
    return StageError(
        "The device cannot be reached.",
        where=f"{settings.name}: {last}",
        fix=f"see that it is switched on and that this works: {by_hand}",
    )
