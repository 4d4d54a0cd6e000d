"""Commands in processes of their own that do not import torch and the exporters each time.

A server, one for each worker of the tests, imports them once and is forked for every command:
nothing but what importing left is shared. What is tested of starting and importing is tested with a
new Python instead.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.libraries import LIBRARIES

IMPORTED = (*LIBRARIES, "sklearn.datasets", "edgekd.pipeline")
"""What a run of a pipeline imports sooner or later."""
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(IMPORTED))


def run_edgekd(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """`edgekd` with these words.

    Args:
        cwd: its working directory.
        env: all of its environment.
        timeout: seconds, after which it is killed.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    return _run(_edgekd, words, cwd, env, timeout)


def run_module(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """`python -m` with these words, the module's name first; else as `run_edgekd`."""
    return _run(_module, words, cwd, env, timeout)


def _run(
    what: Callable[[], None],
    words: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        streams = Path(folder, "out"), Path(folder, "err")
        arguments = (what, list(words), cwd, dict(env), streams)
        process = _context.Process(target=_command, args=arguments)
        process.start()
        process.join(timeout)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(words), timeout)
        out, err = (path.read_text(encoding="utf-8") for path in streams)
        return subprocess.CompletedProcess(list(words), code, out, err)


def _command(
    what: Callable[[], None],
    words: list[str],
    cwd: Path,
    env: dict[str, str],
    streams: tuple[Path, Path],
) -> None:
    """In the forked process, which takes on what a new one would be given."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, path in enumerate((Path(os.devnull), *streams)):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = words
    try:
        what()
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


def _edgekd() -> None:
    from edgekd.cli import main

    sys.argv.insert(0, "edgekd")
    main()


def _module() -> None:
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
