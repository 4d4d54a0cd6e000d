"""Headless Chromium, opened at an address, and a command whose page it opens."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",  # as a user does who compared the fingerprint
)
SWIFTSHADER = (
    "--enable-unsafe-swiftshader",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
)
"""WebGPU by the processor."""
ADDRESS = re.compile(r"^(https?://\S+/)$", re.MULTILINE)


def program(name: str, package: str, *others: str) -> str:
    """The path of a program that these tests need, by its name or one of the others."""
    if os.environ.get("EDGEKD_NO_BROWSER") == "1":
        pytest.skip("EDGEKD_NO_BROWSER=1: this machine has no browser")
    found = next(filter(None, map(shutil.which, (name, *others))), None)
    if found is None:
        pytest.fail(f"{name} is not in PATH: apt-get install {package}, or EDGEKD_NO_BROWSER=1")
    return found


@contextlib.contextmanager
def opened(
    address: str,
    profile: Path,
    *more: str,
    pass_fds: Sequence[int] = (),
    preexec_fn: Callable[[], None] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Chromium with a page, until the context is left. The last two are `subprocess.Popen`'s."""
    command = [program("chromium", "chromium"), *FLAGS, *more, f"--user-data-dir={profile}"]
    with (profile.parent / f"{profile.name}.log").open("wb") as log:
        browser = subprocess.Popen(
            [*command, address],
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=pass_fds,
            preexec_fn=preexec_fn,  # noqa: PLW1509 (no thread runs here)
        )
        try:
            yield browser
        finally:
            close(browser)


def close(browser: subprocess.Popen[bytes]) -> None:
    """Ends it with the processes that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(browser.pid, 9)
    browser.wait()


class Command:
    """`edgekd ...`, whose page can be opened while it runs."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from edgekd.cli import main; main()", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.err = ""
        self._told = threading.Event()
        self.address = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.err += line
            if ADDRESS.match(line):
                self.address = line.strip()
                self._told.set()
        self._told.set()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def page(self) -> str:
        """The address that it printed."""
        assert self._told.wait(300)
        assert self.address, self.err
        return self.address

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it printed."""
        assert self._process.stdout is not None
        out = self._process.stdout.read()
        return self._process.wait(), out
