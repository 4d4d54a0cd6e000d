"""The server of the page: a fixed list of files, and a few messages, for who has the token.

GET  /TOKEN/                       the page; /TOKEN/NAME its parts and the runtimes
POST /TOKEN/hello                  who the browser is; gives the session
POST /TOKEN/next, alive, bye       the next job; still there; the page was closed
GET  /TOKEN/files/NAME             a model
GET  /TOKEN/jobs/N/inputs/PART     feeds, or the number of a part of the test data
POST /TOKEN/jobs/N/outputs/PART, times, result, problem

A request is refused unless its token is right, its Host is an address or a name of this machine (a
page elsewhere could else reach it by a name that it lets point here), and it comes from no other
origin. Names are looked up in lists and never become paths. What is posted has a length that is
bounded before it is read.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgekd.devices.browser_link import LONGEST_TIMES, Link, Work
from edgekd.store import parse_json

SESSION = "X-Edgekd-Session"
SLOW = 30.0
"""Seconds that a client may be silent within a request."""
MESSAGE = 200_000
"""Octets of a message in JSON."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
HEADERS = {
    # Both together isolate the page from other origins, for which it gets shared memory, so
    # threads, and a finer clock (https://html.spec.whatwg.org, "cross-origin isolated").
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob:; "
    "worker-src 'self' blob:; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Server(ThreadingHTTPServer):
    """Serves one link.

    Args:
        assets: the page's files and the runtimes' by their names in the address.
        tls: for https.
    """

    daemon_threads = True

    def __init__(
        self,
        host: str,
        port: int,
        link: Link,
        assets: dict[str, Path],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__((host, port), Handler)
        self.link, self.assets, self.tls = link, assets, tls
        self.names = {"localhost", socket.gethostname().lower()}
        if tls is not None:  # the handshake is the business of the request's thread
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to print."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "edgekd", ""
    timeout = SLOW
    server: Server  # type: ignore[assignment]

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: addresses hold the token."""

    def do_GET(self) -> None:
        name = self._allowed()
        if name is None:
            return
        path = self.server.assets.get(name or "index.html")
        if path is not None:
            self._send_file(path)
        elif self._of_session():
            self._get(name)

    def do_POST(self) -> None:
        name = self._allowed()
        if name == "hello":
            self._hello()
        elif name is not None and self._of_session():
            self._post(name)

    def _allowed(self) -> str | None:
        """What is asked for, without the token; None where the request was refused."""
        link, parts = self.server.link, urlsplit(self.path).path.split("/", 2)
        token, name = (*parts[1:], "", "")[:2]
        own = f"{'https' if self.server.tls else 'http'}://{self.headers.get('Host', '')}"
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site")
        if not self._known_host():
            self._refuse(HTTPStatus.FORBIDDEN, "This server is asked for by another name.")
        elif origin not in (None, own) or site not in (None, "none", "same-origin"):
            self._refuse(HTTPStatus.FORBIDDEN, "Requests of other pages are not answered.")
        elif not link.right_token(token):
            self._refuse(HTTPStatus.FORBIDDEN, "This link is not valid, or no longer.")
        else:
            return name
        return None

    def _known_host(self) -> bool:
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower().removesuffix(".local") in self.server.names
        return True

    def _of_session(self) -> bool:
        if self.server.link.right_session(self.headers.get(SESSION)):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "This link is used by another browser.")
        return False

    def _hello(self) -> None:
        facts = self._message()
        if facts is None:
            return
        session = self.server.link.greet(self.headers.get(SESSION), facts)
        if session is None:
            self._refuse(HTTPStatus.CONFLICT, "This link is used by another browser.")
        else:
            self._send_json({"session": session})

    def _get(self, name: str) -> None:
        kind, _, rest = name.partition("/")
        if kind == "files" and rest in self.server.link.files:
            self._send_file(self.server.link.files[rest])
            return
        work, place = self._work(name)
        kind, _, part = place.partition("/")
        if work is None or kind != "inputs":
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such thing.")
        elif part == "feeds":
            self._send(work.feeds, "application/octet-stream")
        elif part.isdecimal() and int(part) < len(work.expected):
            self._send(work.chunk(int(part)), "application/octet-stream")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such part.")

    def _post(self, name: str) -> None:
        link = self.server.link
        if name in ("alive", "bye", "next"):
            said = self._message()
            if said is None:
                return
            if name == "bye":
                link.leave()
            seen = said.get("seen", 0)
            order = link.next_order(seen if isinstance(seen, int) else 0) if name == "next" else {}
            self._send_json(order or {})
            return
        work, place = self._work(name)
        if work is None:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such job.")
            return
        change = self._change(work, place)
        if change is not None:
            self.server.link.answer(work.number, change)
            self._send_json({})

    def _work(self, name: str) -> tuple[Work | None, str]:
        """The present job, where `name` is about it, and the rest of the name."""
        kind, _, rest = name.partition("/")
        number, _, place = rest.partition("/")
        work = self.server.link.work
        right = kind == "jobs" and work is not None and number == str(work.number)
        return (work if right else None), place

    def _change(self, work: Work, place: str) -> Callable[[Work], None] | None:
        """What a message changes in the job; None where it was refused."""
        kind, _, part = place.partition("/")
        if kind == "outputs" and part.isdecimal() and int(part) < len(work.expected):
            number, wanted = int(part), work.expected[int(part)]
            octets = self._body(wanted)
            if octets is not None and len(octets) != wanted:
                self._refuse(HTTPStatus.BAD_REQUEST, f"{wanted} octets are expected.")
                return None
            return None if octets is None else lambda w: w.outputs.__setitem__(number, octets)
        if place == "times":
            octets = self._body(LONGEST_TIMES)
            return None if octets is None else lambda w: setattr(w, "times", octets)
        if place in ("result", "problem"):
            said = self._message()
            if said is None:
                return None
            value = said if place == "result" else str(said.get("problem"))[:500]
            return lambda w: setattr(w, place, value)
        self._refuse(HTTPStatus.NOT_FOUND, "There is no such thing.")
        return None

    def _message(self) -> dict[str, Any] | None:
        """The JSON object that was posted; None where it was refused."""
        octets = self._body(MESSAGE)
        if octets is None:
            return None
        try:
            found = parse_json(octets)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "This is no JSON object.")
            return None
        return found

    def _body(self, most: int) -> bytes | None:
        """What was posted, at most so many octets; None where it was refused, unread."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "The length is missing.")
            return None
        if len(length) > 15 or int(length) > most:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {most} octets.")
            return None
        octets = self.rfile.read(int(length))
        return octets if len(octets) == int(length) else None

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True  # what it posted was not read
        self._send(text.encode(), "text/plain; charset=utf-8", status)

    def _send_json(self, value: dict[str, Any]) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _send_file(self, path: Path) -> None:
        self._send(path.read_bytes(), TYPES.get(path.suffix, "application/octet-stream"))

    def _send(self, octets: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        fixed = kind == "application/wasm" and status == HTTPStatus.OK
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "private, max-age=3600" if fixed else "no-store")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(octets)
