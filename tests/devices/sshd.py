"""A real sshd on loopback for the tests, with keys, configuration and known hosts of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from edgekd.config.device import DeviceSettings

SERVER = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
MISSING = "needs openssh-server, which .ci/run installs" if SERVER is None else ""


def make_key(path: Path) -> None:
    """An ed25519 key without a passphrase, and its public half beside."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sshd:
    """The server, and the client's configuration that knows it as the host `board`.

    Args:
        folder: an empty one, for all of it; `home` in it is the home of who logs in.
        environment: more of what every session has in its environment.
        lines: more of sshd's configuration.
    """

    def __init__(self, folder: Path, environment: str = "", *lines: str) -> None:
        assert SERVER is not None
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.port = free_port()
        for name in ("host", "user"):
            make_key(folder / name)
        shutil.copy(folder / "user.pub", folder / "authorized")
        self.known_hosts = folder / "known_hosts"
        self.know(folder / "host.pub")
        (folder / "sshd_config").write_text(
            "\n".join(
                [
                    "ListenAddress 127.0.0.1",
                    f"Port {self.port}",
                    f"HostKey {folder}/host",
                    f"AuthorizedKeysFile {folder}/authorized",
                    "StrictModes no",
                    "UsePAM no",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "PidFile none",
                    f"SetEnv HOME={self.home} {environment}",
                    *lines,
                    "",
                ]
            )
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        command = [SERVER, "-D", "-e", "-f", str(folder / "sshd_config")]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(command, stderr=self._log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                break
            assert time.monotonic() < until and self._process.poll() is None, self.said()
            time.sleep(0.02)

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def know(self, public: Path) -> None:
        """The client's only known host key from now on."""
        kind, key, *_ = public.read_text().split()
        self.known_hosts.write_text(f"board {kind} {key}\n")

    def profile(self, port: int | None = None, **fields: object) -> DeviceSettings:
        """A device profile; with `port`, of something in between."""
        config = self.folder / f"ssh_config{port or ''}"
        config.write_text(
            f"Host board\n HostName 127.0.0.1\n Port {port or self.port}\n HostKeyAlias board\n"
            f" IdentityFile {self.folder}/user\n IdentitiesOnly yes\n"
            f" UserKnownHostsFile {self.known_hosts}\n GlobalKnownHostsFile /dev/null\n"
        )
        given = {"name": "board", "kind": "ssh", "host": "board", "ssh_config": config}
        return DeviceSettings.model_validate({**given, "python": "/usr/bin/python3", **fields})

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()


class Between:
    """Passes one port's octets on to another one, counts them, and drops the connection if told."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.up = 0
        """Octets from the client to the server."""
        self.drop_after: int | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                self._open += [client, server]
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                if up:
                    self.up += len(data)
                    if self.drop_after is not None and self.up > self.drop_after:
                        self.drop()
                        return
                to.sendall(data)
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        """Cuts every connection."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # the thread waits in accept
        self._server.close()
        self.drop()


@contextlib.contextmanager
def between(to: int) -> Iterator[Between]:
    relay = Between(to)
    try:
        yield relay
    finally:
        relay.close()
