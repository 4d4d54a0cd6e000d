"""A command lives as long as somebody waits for it, and no longer."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import psutil

from edgekd.agent import attached

FILE = str(Path(attached.__file__))
SLEEP = f"{sys.executable} -c 'import time; time.sleep(600)'"


def start(seconds: int, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, FILE, str(seconds), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def wait_for_children(pid: int, count: int) -> list[psutil.Process]:
    until = time.monotonic() + 30
    while len(found := psutil.Process(pid).children(recursive=True)) < count:
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=30)
    return not alive


def test_it_ends_as_the_command_does():
    for code, expected in (("exit(7)", 7), ("exit(0)", 0)):
        with start(60, sys.executable, "-c", code) as process:
            assert process.wait(60) == expected
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    with start(60, sys.executable, "-c", kill) as process:
        assert process.wait(60) == 128 + 15


def test_the_command_has_no_stdin_and_its_output_is_passed_on():
    with start(60, sys.executable, "-c", "import sys; print(len(sys.stdin.read()))") as process:
        assert process.stdout is not None and process.stdout.read() == b"0\n"
        assert process.wait(60) == 0


def test_all_that_it_started_ends_with_stdin():
    with start(60, "sh", "-c", f"{SLEEP} & {SLEEP}; true") as process:
        started = wait_for_children(process.pid, 3)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 128 + 9
        assert gone(started)


def test_all_that_it_started_ends_when_the_time_is_over():
    with start(1, "sh", "-c", f"{SLEEP} & {SLEEP}; true") as process:
        started = wait_for_children(process.pid, 3)
        assert process.wait(30) == attached.OVER
        assert gone(started)


def test_old_pythons_read_it():
    text = Path(FILE).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert imported <= set(sys.stdlib_module_names)
