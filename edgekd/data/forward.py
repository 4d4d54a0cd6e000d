"""A file that is read from its start to its end, on disk or over HTTP, with bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from urllib import request
from urllib.error import HTTPError

from edgekd.errors import DataError

MOST = 256 << 20
"""Bytes that may be asked for at a time: a header that claims more is a mistake, or an attack."""
SKIP = 1 << 20
TIMEOUT = 30.0
"""Seconds that a server may be silent."""
PAUSES = (1.0, 3.0, 10.0)
"""Seconds before each time that an interrupted download is taken up again."""
BUSY = (408, 429)
"""HTTP errors of the 400s that may pass; those of the 500s may, too."""
REACH = (OSError, HTTPException)


class Forward:
    """What tarfile needs of a file, without going back.

    Args:
        read: gives up to so many bytes, and none at the end.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._at = 0
        self.last = b""
        """What was read last."""

    def tell(self) -> int:
        """Bytes from the start."""
        return self._at

    def seek(self, place: int) -> None:
        """Reads on to a place.

        Raises:
            ValueError: it lies behind.
        """
        if place < self._at:
            raise ValueError("this file is read forwards only")
        while self._at < place and self._more(min(SKIP, place - self._at)):
            pass

    def read(self, size: int) -> bytes:
        """So many bytes; fewer where the file ends.

        Raises:
            ValueError: it is too much at a time.
            DataError: the server fails, after some patience.
        """
        if not 0 <= size <= MOST:
            raise ValueError(f"a member or a header claims {size / 1e6:,.0f} MB")
        parts, missing = [], size
        while missing and (part := self._more(missing)):
            parts.append(part)
            missing -= len(part)
        self.last = b"".join(parts)
        return self.last

    def _more(self, size: int) -> bytes:
        part = self._read(size)
        self._at += len(part)
        return part


class Download:
    """A file over HTTP. A connection that breaks is taken up again where it was.

    Args:
        url: http or https.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.at = 0
        self.response: HTTPResponse | None = None
        self.state: tuple[str | None, ...] | None = None

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end.

        Raises:
            DataError: the server fails again and again, or has another file by now.
        """
        problem: Exception | str = "the connection was closed"
        for pause in (0.0, *PAUSES):
            time.sleep(pause)
            try:
                if self.response is None:
                    self._open()
                assert self.response is not None
                part = self.response.read(size)
            except REACH as error:
                if isinstance(error, HTTPError) and error.code < 500 and error.code not in BUSY:
                    raise _failed(self.url, self.at, error) from error
                problem = error
            else:
                self.at += len(part)
                if part or not size or self._ended():
                    return part
            self.close()
        raise _failed(self.url, self.at, problem)

    def close(self) -> None:
        """Ends the connection."""
        if self.response is not None:
            self.response.close()
            self.response = None

    def _open(self) -> None:
        """Asks for the rest. A server that knows no ranges sends all, of which the start is passed
        over.
        """
        headers = {"Range": f"bytes={self.at}-"} if self.at else {}
        self.response = _opened(self.url, headers)
        state = _state(self.response)
        if self.state is None:
            self.state = state
        if state[:2] != self.state[:2]:
            raise DataError(
                "A shard changed while it was read.",
                where=self.url,
                fix="run again once nobody writes to it",
            )
        skip = 0 if self.response.status == 206 else self.at
        while skip and (part := self.response.read(min(SKIP, skip))):
            skip -= len(part)
        if skip:
            raise OSError("the connection was closed")

    def _ended(self) -> bool:
        """Whether all of the file is here; a server that told no length has said so by closing."""
        length = self.state[2] if self.state is not None else None
        return length is None or self.at >= int(length)


def state_of(url: str) -> tuple[str | None, ...]:
    """What a server says of a file without sending it: ETag, Last-Modified, Content-Length.

    Raises:
        DataError: it does not answer.
    """
    try:
        with _opened(url, {}) as response:
            return _state(response)
    except REACH as error:
        raise _failed(url, 0, error) from error


def _failed(url: str, at: int, problem: Exception | str) -> DataError:
    return DataError(
        f"A shard cannot be read: {problem}.",
        where=f"{url}, after {at:,} bytes",
        fix="look whether the address is right and the server is up, and run again; or download"
        " the shards and give the folder as data.path",
    )


def _state(response: HTTPResponse) -> tuple[str | None, ...]:
    names = ("ETag", "Last-Modified", "Content-Length")
    return tuple(response.headers.get(name) for name in names)


def _opened(url: str, headers: dict[str, str]) -> HTTPResponse:
    """The server's answer. Redirections lead to http and https only: urllib's own opener would
    follow one to ftp.
    """
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.UnknownHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    asked = request.Request(url, headers=headers)  # noqa: S310 no handler for other schemes
    return opener.open(asked, timeout=TIMEOUT)
