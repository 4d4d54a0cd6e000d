"""The server of the page, spoken to by hand: who is let in, and what is never read or sent."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from edgekd.devices.browser_link import Link, Work
from edgekd.devices.browser_server import MESSAGE, SESSION, Server

TOKEN = "right-token-of-this-test"


class Page:
    """A client that may say what no browser would."""

    def __init__(self, server: Server) -> None:
        self.port = server.server_address[1]
        self.session = ""

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, content and headers of an answer; `path` goes out as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            host = given.pop("Host", f"127.0.0.1:{self.port}")
            connection.putrequest(method, path, skip_host=True)
            given = {"Host": host, SESSION: self.session, **given}
            if body is not None:
                given.setdefault("Content-Length", str(len(body)))
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def post(self, name: str, value: object) -> tuple[int, bytes, dict[str, str]]:
        return self.ask("POST", f"/{TOKEN}/{name}", json.dumps(value).encode())

    def greet(self) -> int:
        status, content, _ = self.post("hello", {"user_agent": "test"})
        if status == 200:
            self.session = json.loads(content)["session"]
        return status


@pytest.fixture
def link() -> Link:
    return Link(TOKEN)


@pytest.fixture
def page(link, tmp_path) -> Iterator[Page]:
    (tmp_path / "index.html").write_text("the page")
    (tmp_path / "worker.js").write_text("the worker")
    (tmp_path / "secret.txt").write_text("not for anybody")
    (tmp_path / "model.onnx").write_bytes(b"the model")
    assets = {name: tmp_path / name for name in ("index.html", "worker.js")}
    link.files["abc.onnx"] = tmp_path / "model.onnx"
    server = Server("127.0.0.1", 0, link, assets)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield Page(server)
    server.shutdown()
    thread.join()
    server.server_close()


def work(**fields) -> Work:
    order = {"number": 1, "title": "test"}
    return Work(**{"number": 1, "order": order, "feeds": b"feeds", "chunk": lambda part: b"part",
                   "expected": [4], **fields})  # fmt: skip


def test_the_page_is_isolated_from_other_origins(page):
    status, content, headers = page.ask("GET", f"/{TOKEN}/")
    assert (status, content) == (200, b"the page")
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert page.ask("GET", f"/{TOKEN}/worker.js")[:2] == (200, b"the worker")


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "%c3%a4", "%00"])
def test_nothing_without_the_token(page, token):
    assert page.greet() == 200
    for method, name in [("GET", ""), ("GET", "worker.js"), ("POST", "next"), ("POST", "hello")]:
        path = f"/{token}/{name}".encode().decode("latin-1")
        status, content, _ = page.ask(method, path, b"{}" if method == "POST" else None)
        assert status == 403 and content.startswith(b"This link is not valid")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "example.org"},  # a name that somebody lets point here
        {"Host": ""},
        {"Host": "[::1"},
    ],
)
def test_other_origins_and_names_are_refused(page, headers):
    assert page.greet() == 200
    for method, name in [("GET", ""), ("GET", "files/abc.onnx"), ("POST", "alive")]:
        body = b"{}" if method == "POST" else None
        status, content, _ = page.ask(method, f"/{TOKEN}/{name}", body, **headers)
        assert status == 403 and b"the page" not in content and b"the model" not in content


def test_its_own_origin_is_answered(page):
    assert page.greet() == 200
    own = f"http://127.0.0.1:{page.port}"
    answer = page.ask("POST", f"/{TOKEN}/alive", b"{}", Origin=own, Sec_Fetch_Site="same-origin")
    assert answer[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "secret.txt",
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "files/../model.onnx",
        "files/model.onnx",
        "files//etc/passwd",
        "files/abc.onnx/../../secret.txt",
        "worker.js/../secret.txt",
        "jobs/1/inputs/../feeds",
        "jobs/1/inputs/-1",
        "jobs/1/inputs/1",
        "jobs/2/inputs/0",
        "jobs/../jobs/1/inputs/0",
    ],
)
def test_no_path_leads_elsewhere(page, link, name):
    assert page.greet() == 200
    link.work = work()
    status, content, _ = page.ask("GET", f"/{TOKEN}/{name}")
    assert status == 404 and content.startswith(b"There is no")


def test_models_and_jobs_are_for_the_session_alone(page, link):
    link.work = work()
    for name in ("files/abc.onnx", "jobs/1/inputs/0"):
        assert page.ask("GET", f"/{TOKEN}/{name}")[0] == 403
    assert page.post("next", {})[0] == 403
    assert page.greet() == 200
    assert page.ask("GET", f"/{TOKEN}/files/abc.onnx")[1] == b"the model"
    assert page.ask("GET", f"/{TOKEN}/jobs/1/inputs/0")[1] == b"part"
    assert page.ask("GET", f"/{TOKEN}/jobs/1/inputs/feeds")[1] == b"feeds"
    assert json.loads(page.post("next", {})[1]) == {"number": 1, "title": "test"}


def test_the_link_is_used_once(page, link):
    assert page.greet() == 200
    first, page.session = page.session, "another"
    assert page.greet() == 409
    assert page.post("alive", {})[0] == 403
    page.session = first
    assert page.greet() == 200 and page.session == first  # loaded again


def test_what_is_too_long_is_not_read(page, link):
    assert page.greet() == 200
    link.work = work()
    for name, most in [("alive", MESSAGE), ("jobs/1/outputs/0", 4), ("jobs/1/result", MESSAGE)]:
        headers = {"Content-Length": str(most + 1)}
        status, content, _ = page.ask("POST", f"/{TOKEN}/{name}", None, **headers)
        assert (status, content) == (413, f"At most {most} octets.".encode())
    for length in ("", "-1", "1e9", "9" * 400):
        status, _, _ = page.ask("POST", f"/{TOKEN}/alive", None, **{"Content-Length": length})
        assert status in (411, 413)
    chunks = {"Transfer-Encoding": "chunked", "Content-Length": "2"}
    assert page.ask("POST", f"/{TOKEN}/alive", b"{}", **chunks)[0] == 411
    assert not link.work.outputs


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_message_is_an_object(page, body):
    assert page.greet() == 200
    status, content, _ = page.ask("POST", f"/{TOKEN}/alive", body)
    assert (status, content) == (400, b"This is no JSON object.")


def test_answers_reach_the_job_in_their_length(page, link):
    assert page.greet() == 200
    link.work = work()
    job = link.work
    assert page.ask("POST", f"/{TOKEN}/jobs/1/outputs/0", b"abc")[0] == 400
    assert page.ask("POST", f"/{TOKEN}/jobs/1/outputs/0", b"abcd")[0] == 200
    assert page.ask("POST", f"/{TOKEN}/jobs/1/outputs/1", b"abcd")[0] == 404
    assert page.ask("POST", f"/{TOKEN}/jobs/2/outputs/0", b"abcd")[0] == 404
    assert page.ask("POST", f"/{TOKEN}/jobs/1/times", b"12345678")[0] == 200
    assert page.post("jobs/1/result", {"batch": 1})[0] == 200
    assert (job.outputs, job.times, job.result) == ({0: b"abcd"}, b"12345678", {"batch": 1})


def test_a_client_that_goes_away_harms_nobody(page):
    for said in (
        b"",
        b"GET",
        b"POST /%s/alive HTTP/1.1\r\nContent-Length: 9\r\n\r\nab",
        b"\x16\x03",
    ):
        with socket.create_connection(("127.0.0.1", page.port)) as client:
            client.sendall(said)
    assert page.greet() == 200


def test_unknown_methods_are_refused(page):
    assert page.ask("PUT", f"/{TOKEN}/worker.js", b"x")[0] == 501
    assert page.ask("DELETE", f"/{TOKEN}/worker.js")[0] == 501
