"""Runs a command for as long as somebody waits for it: `python attached.py SECONDS COMMAND ...`.

It and all that it started are killed when stdin ends (the one who asked for it is gone: a
connection dropped, a program was stopped) or the seconds are over. It exits as the command does,
with 128 + its number for a signal. The standard library only, on Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Any

OVER = 124
"""The exit code when the seconds are over, as that of timeout(1)."""


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    seconds, command = int(arguments[0]), arguments[1:]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)

    def until_stdin_ends() -> None:
        while os.read(0, 4096):
            pass
        end()

    def over(*_: Any) -> None:
        end()
        os._exit(OVER)

    signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    threading.Thread(target=until_stdin_ends, daemon=True).start()
    code = child.wait()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(ended)  # the thread still reads
