"""A PostgreSQL server of a test's own, on loopback, with a password.

Debian's package has its programs in /usr/lib/postgresql/VERSION/bin. They refuse to run as root: as
root they are run as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "me", "wine-in-May"
REASON = "PostgreSQL's server is not installed: apt-get install postgresql"


def _program(name: str) -> str | None:
    """Debian's own folder first: what lies elsewhere may be a link that finds no libraries."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join(map(str, folders))) or shutil.which(name)


needs_postgres = pytest.mark.skipif(
    _program("initdb") is None or _program("postgres") is None, reason=REASON
)


class Server:
    """A server that can be stopped and started again, with all that it holds."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.process: subprocess.Popen[bytes] | None = None
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def url(self, password: str = PASSWORD) -> str:
        """Of the database that every server has."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """Makes the server's files."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        words = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={secret}", "--no-sync"]
        subprocess.run(
            [str(_program("initdb")), *words, "--pgdata", str(self.folder / "data")],
            check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self.user,
        )  # fmt: skip

    def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        import psycopg

        words = ["-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self.port)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [str(_program("postgres")), *words, "-k", "", "-F"],
                cwd=self.folder, stdout=log, stderr=log, **self.user,
            )  # fmt: skip
        for _ in range(600):
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Ends it, and every connection."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)
            self.process = None


@contextmanager
def postgres() -> Iterator[Server]:
    """A running server, removed at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="edgekd-postgres-") as folder:
        server = Server(Path(folder), port)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
