"""A small adbd for the tests: what answers on a phone when `adb` calls, by TCP.

It speaks the protocol of Android's own (packages/modules/adb: protocol.txt, SYNC.TXT, SERVICES.TXT,
shell_protocol.h): the handshake with its proof of a key, streams, the shell with separate stdout,
stderr and exit code, and the transfer of files.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import queue
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

VERSION, LARGEST = 0x01000001, 256 * 1024
FEATURES = "shell_v2,cmd,stat_v2"
TOKEN, SIGNATURE, PUBLIC_KEY = 1, 2, 3
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
SHA1_PREFIX = bytes.fromhex("3021300906052b0e03021a05000414")
"""What a PKCS #1 v1.5 signature of a SHA-1 digest begins with (RFC 8017, section 9.2)."""


class Adbd:
    """A phone that is plugged in.

    Args:
        data: what lies in the phone's /data.
        shell: the command here that runs a line in the phone's shell.
        trusted: the adbkey.pub of a machine that may come in; nobody is asked if left out, and
            with an empty file nobody may.
        model: what it is called.
    """

    def __init__(
        self,
        data: Path,
        shell: Callable[[str], list[str]],
        trusted: Path | None = None,
        model: str = "Stand_In",
    ) -> None:
        self.data, self.shell, self.trusted, self.model = data, shell, trusted, model
        self.received = 0
        """Octets that came."""
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                came, _address = self._server.accept()
                self._open.add(came)
                threading.Thread(target=Connection(self, came).serve, daemon=True).start()

    def unplug(self) -> None:
        """Cuts every connection, and lets none come."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def here(self, path: str) -> Path:
        """Where a file of the phone lies on this machine.

        Raises:
            PermissionError: it is none that the shell's user may reach.
        """
        found = self.data / path.removeprefix("/data/")
        if not path.startswith("/data/") or ".." in found.parts:
            raise PermissionError
        return found

    def trusts(self, token: bytes, signature: bytes) -> bool:
        """Whether one of the trusted keys has signed the token, which stands for a SHA-1 digest."""
        assert self.trusted is not None
        for line in self.trusted.read_text().splitlines():
            # Android's form: words, n0inv, the modulus (little-endian), R^2, the exponent.
            key = base64.b64decode(line.split()[0])
            modulus = int.from_bytes(key[8 : 8 + 256], "little")
            (exponent,) = struct.unpack("<I", key[-4:])
            shown = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(256, "big")
            if shown == b"\0\1".ljust(220, b"\xff") + b"\0" + SHA1_PREFIX + token:
                return True
        return False


class Connection:
    """One connection of a machine's adb server."""

    def __init__(self, phone: Adbd, came: socket.socket) -> None:
        self.phone, self.socket = phone, came
        self.sending = threading.Lock()
        self.streams: dict[int, Stream] = {}
        self.token = os.urandom(20)

    def serve(self) -> None:
        """Answers until the connection ends, and then lets nothing wait."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                command, one, two, data = self._receive()
                self._answer(command, one, two, data)
        for stream in self.streams.values():
            stream.end()
        self.socket.close()

    def _receive(self) -> tuple[bytes, int, int, bytes]:
        head = self._exactly(24)
        command, one, two, length, _sum, magic = struct.unpack("<4sIIIII", head)
        assert int.from_bytes(command, "little") ^ 0xFFFFFFFF == magic and length <= LARGEST
        self.phone.received += 24 + length
        return command, one, two, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self.socket.recv(count - len(found))
            if not part:
                raise EOFError
            found += part
        return found

    def send(self, command: bytes, one: int, two: int, data: bytes = b"") -> None:
        magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
        head = struct.pack("<4sIIIII", command, one, two, len(data), sum(data), magic)
        with self.sending:
            self.socket.sendall(head + data)

    def _answer(self, command: bytes, one: int, two: int, data: bytes) -> None:
        if command == b"CNXN":
            if self.phone.trusted is None:
                self._welcome()
            else:
                self.send(b"AUTH", TOKEN, 0, self.token)
        elif command == b"AUTH" and one == SIGNATURE:
            if self.phone.trusts(self.token, data):
                self._welcome()
            else:
                self.token = os.urandom(20)
                self.send(b"AUTH", TOKEN, 0, self.token)
        elif command == b"OPEN":
            self._open(one, data.rstrip(b"\0").decode())
        elif two in self.streams:
            self.streams[two].take(command, data)
        # A public key (AUTH) would be shown to whoever holds the phone, who does not answer here.

    def _welcome(self) -> None:
        about = f"ro.product.name=standin;ro.product.model={self.phone.model};ro.product.device=x;"
        self.send(b"CNXN", VERSION, LARGEST, f"device::{about}features={FEATURES}".encode())

    def _open(self, theirs: int, service: str) -> None:
        ours = len(self.streams) + 1
        name, _colon, rest = service.partition(":")
        kinds = {"shell": ShellStream, "sync": SyncStream}
        kind = kinds.get(name.partition(",")[0])
        if kind is None or (kind is ShellStream and "raw" not in name.split(",")):
            self.send(b"CLSE", 0, theirs)
            return
        self.streams[ours] = stream = kind(self, ours, theirs, rest)
        self.send(b"OKAY", ours, theirs)
        threading.Thread(target=stream.run, daemon=True).start()


class Stream:
    """A service that runs over a connection: what comes, piece by piece, and what goes."""

    def __init__(self, connection: Connection, ours: int, theirs: int, rest: str) -> None:
        self.connection, self.ours, self.theirs, self.rest = connection, ours, theirs, rest
        self.coming: queue.Queue[bytes] = queue.Queue()
        self.acknowledged = threading.Semaphore(0)
        self.sending = threading.Lock()
        self.ended = False
        self._left = b""

    def take(self, command: bytes, data: bytes) -> None:
        if command == b"WRTE":
            self.coming.put(data)
            self.connection.send(b"OKAY", self.ours, self.theirs)
        elif command == b"OKAY":
            self.acknowledged.release()
        elif command == b"CLSE":
            self.end()

    def end(self) -> None:
        """The other side is gone."""
        self.ended = True
        self.coming.put(b"")
        self.acknowledged.release()

    def write(self, data: bytes) -> None:
        """Sends, and waits until it was taken, as the protocol wants it."""
        with self.sending:
            for start in range(0, len(data), LARGEST):
                if self.ended:
                    raise EOFError
                part = data[start : start + LARGEST]
                self.connection.send(b"WRTE", self.ours, self.theirs, part)
                self.acknowledged.acquire()

    def read(self, count: int) -> bytes:
        while len(self._left) < count:
            part = self.coming.get()
            if not part:
                raise EOFError
            self._left += part
        found, self._left = self._left[:count], self._left[count:]
        return found

    def run(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self.work()
        with contextlib.suppress(OSError):
            self.connection.send(b"CLSE", self.ours, self.theirs)

    def work(self) -> None:
        raise NotImplementedError


class ShellStream(Stream):
    """shell,v2,raw: packets of a kind, a length and data."""

    def work(self) -> None:
        process = subprocess.Popen(
            self.connection.phone.shell(self.rest),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        threading.Thread(target=self._feed, args=(process,), daemon=True).start()
        passing = [
            threading.Thread(target=self._pass, args=(kind, pipe))
            for kind, pipe in ((STDOUT, process.stdout), (STDERR, process.stderr))
        ]
        for thread in passing:
            thread.start()
        for thread in passing:
            thread.join()
        code = process.wait()
        self.write(struct.pack("<BIB", EXIT, 1, code if code >= 0 else 128 - code))

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(EOFError, OSError):
            while True:
                kind, length = struct.unpack("<BI", self.read(5))
                data = self.read(length)
                if kind == CLOSE_STDIN:
                    break
                if kind == STDIN:
                    process.stdin.write(data)
                    process.stdin.flush()
        with contextlib.suppress(OSError):
            process.stdin.close()  # the other side is gone: that is all that the program learns

    def _pass(self, kind: int, pipe) -> None:
        while data := os.read(pipe.fileno(), 16384):
            with contextlib.suppress(EOFError, OSError):
                self.write(struct.pack("<BI", kind, len(data)) + data)


class SyncStream(Stream):
    """sync: requests of a name, a length and a path."""

    def work(self) -> None:
        while True:
            request, length = struct.unpack("<4sI", self.read(8))
            if request == b"QUIT":
                return
            path = self.read(length).decode()
            try:
                self._do(request, path)
            except OSError as error:
                why = os.strerror(error.errno or 13).encode()
                self.write(b"FAIL" + struct.pack("<I", len(why)) + why)

    def _do(self, request: bytes, path: str) -> None:
        phone = self.connection.phone
        if request in (b"STAT", b"STA2", b"LST2"):
            self._stat(request, phone, path)
        elif request == b"SEND":
            name, _comma, mode = path.rpartition(",")
            self._take(phone.here(name), int(mode))
        elif request == b"RECV":
            content = phone.here(path).read_bytes()
            for start in range(0, len(content), 65536):
                part = content[start : start + 65536]
                self.write(b"DATA" + struct.pack("<I", len(part)) + part)
            self.write(b"DONE" + struct.pack("<I", 0))
        else:
            raise PermissionError

    def _stat(self, request: bytes, phone: Adbd, path: str) -> None:
        try:
            found, error = phone.here(path).stat(), 0
        except OSError as problem:
            found, error = os.stat_result((0,) * 10), problem.errno or 13
        mode, size, changed = found.st_mode, found.st_size, int(found.st_mtime)
        if request == b"STAT":
            self.write(request + struct.pack("<III", mode, size, changed))
            return
        who = (found.st_dev, found.st_ino, mode, found.st_nlink, found.st_uid, found.st_gid)
        self.write(request + struct.pack("<IQQIIIIQqqq", error, *who, size, *(changed,) * 3))

    def _take(self, file: Path, mode: int) -> None:
        problem: OSError | None = None
        with file.open("wb", buffering=0) as to:
            while True:
                what, length = struct.unpack("<4sI", self.read(8))
                if what == b"DONE":
                    break
                data = self.read(length)
                try:
                    if to.write(data) < len(data):
                        raise OSError(errno.ENOSPC, "")
                except OSError as error:
                    problem = problem or error
        if problem is not None:
            raise problem
        file.chmod(mode & 0o777)
        os.utime(file, (length, length))
        self.write(b"OKAY" + struct.pack("<I", 0))
