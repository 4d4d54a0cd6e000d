"""A page in Chromium at a phone's size, asked and photographed by its debugging pipe (the Chrome
DevTools protocol: JSON messages that end with a zero, in by descriptor 3, out by 4)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headless import opened

WIDTH, HEIGHT, SCALE = 390, 844, 3
"""CSS pixels of an iPhone 12 to 15, and device pixels in one."""


class PhonePage:
    """See the module."""

    def __init__(self, sent: int, answers: int) -> None:
        self._sent, self._answers = sent, answers
        self._rest = b""
        self._number = 0
        self._session: dict[str, str] = {}

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to a message; what else Chromium tells meanwhile is not looked at."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._sent, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._next())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self) -> bytes:
        while b"\0" not in self._rest:
            more = os.read(self._answers, 1 << 16)
            assert more, "Chromium has ended"
            self._rest += more
        first, _, self._rest = self._rest.partition(b"\0")
        return first

    def open(self, address: str) -> None:
        """A tab of its own, of the phone's size and with touch."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        found = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": found["sessionId"]}
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": SCALE, "mobile": True}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Emulation.setTouchEmulationEnabled", enabled=True)
        self.ask("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """What an expression of the page's is."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, seconds: float = 120) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(script):
            assert time.monotonic() < end, script
            time.sleep(0.1)

    def photograph(self, path: Path) -> None:
        """The whole page as a .png file."""
        shown = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shown["data"]))


@contextlib.contextmanager
def phone_page(address: str, profile: Path) -> Iterator[PhonePage]:
    """The page at an address, until the context is left."""
    to_read, to_write = os.pipe()
    back_read, back_write = os.pipe()

    def descriptors() -> None:
        # Above 4 first, so that none is overwritten before it is copied.
        copies = [os.dup2(to_read, 63), os.dup2(back_write, 64)]
        for copy, number in zip(copies, (3, 4), strict=True):
            os.dup2(copy, number)

    pipe = "--remote-debugging-pipe"
    with opened("about:blank", profile, pipe, pass_fds=(3, 4), preexec_fn=descriptors):
        os.close(to_read)
        os.close(back_write)
        try:
            page = PhonePage(to_write, back_read)
            page.open(address)
            yield page
        finally:
            os.close(to_write)
            os.close(back_read)
