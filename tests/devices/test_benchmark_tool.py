"""benchmark_model by its path, or downloaded once, with the content that the profile pins."""

from __future__ import annotations

import hashlib
import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd.config.device import DeviceSettings
from edgekd.devices.benchmark_tool import tool
from edgekd.errors import StageError

CONTENT = b"\x7fELF a program"
SHA = hashlib.sha256(CONTENT).hexdigest()


def profile(**fields: str) -> DeviceSettings:
    return DeviceSettings.model_validate({"name": "phone", "kind": "adb", **fields})


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[http.server.HTTPServer]:
    """An https server that this machine trusts, and a cache of its own."""
    key, certificate, folder = tmp_path / "key", tmp_path / "certificate", tmp_path / "served"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    made += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    folder.mkdir()
    (folder / "benchmark_model").write_bytes(CONTENT)
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given, **more) -> None:
            super().__init__(*given, **more, directory=str(folder))

        def log_message(self, format: str, *args) -> None:
            asked.append(format % args)

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    found.socket = context.wrap_socket(found.socket, server_side=True)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "localhost")
    yield found
    found.shutdown()
    found.server_close()


def address(server: http.server.HTTPServer, name: str = "benchmark_model") -> str:
    return f"https://localhost:{server.server_address[1]}/{name}"


def test_a_download_is_made_once(server):
    settings = profile(benchmark_model=address(server), benchmark_model_sha256=SHA)
    path = tool(settings)
    assert path.read_bytes() == CONTENT and path.name == SHA
    server.shutdown()
    assert tool(settings) == path


def test_another_content_is_refused(server, tmp_path):
    with pytest.raises(StageError, match="another one than the profile says") as caught:
        tool(profile(benchmark_model=address(server), benchmark_model_sha256="0" * 64))
    assert SHA in caught.value.where
    assert not list((tmp_path / "cache/benchmark_model").iterdir())


def test_what_cannot_be_downloaded_is_told(server):
    wrong = profile(benchmark_model=address(server, "none"), benchmark_model_sha256=SHA)
    with pytest.raises(StageError, match="cannot be downloaded") as caught:
        tool(wrong)
    assert "404" in caught.value.where


def test_a_path_is_checked_where_it_is_pinned(tmp_path):
    path: Path = tmp_path / "benchmark_model"
    path.write_bytes(CONTENT)
    assert tool(profile(benchmark_model=str(path))) == path
    assert tool(profile(benchmark_model=str(path), benchmark_model_sha256=SHA)) == path
    with pytest.raises(StageError, match="another one"):
        tool(profile(benchmark_model=str(path), benchmark_model_sha256="1" * 64))
