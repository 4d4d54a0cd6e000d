"""Damaged and hostile files for every reader: an explained error or a value, and nothing else.

    python -m benchmarks.faults.fuzz --minutes 10

A child reads one changed input after the other. What it may not do is found by who watches it: die,
take more than 5 s or 2 GB for one input, raise what is no `EdgekdError`, start a program, or write
outside of the input's folder. Inputs that did are written to `--found`; what is mended is kept in
`tests/faults/corpus`.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.common import Row, finish, options, started
from benchmarks.faults.mutate import mutate
from benchmarks.faults.readers import READERS, Reader, seeds
from edgekd.errors import EdgekdError

HANG = 5.0
"""Seconds for one input."""
STARTING = 60.0
"""Seconds for one input of a reader that starts a process; the first one imports libraries."""
MEMORY = 2 << 30
"""Bytes of address space that a reader may take beyond what the process had."""
PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class")
WRITES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod")


class Escape(BaseException):
    """A reader started a program, or wrote outside of its folder."""


class Guard:
    """Python's audit hook, which nothing can take off again, for one folder at a time."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.starts = False
        sys.addaudithook(self._look)

    @contextmanager
    def around(self, folder: Path, reader: Reader) -> Iterator[None]:
        """Watches one reading."""
        self.folder, self.starts = folder.resolve(), reader.starts
        try:
            yield
        finally:
            self.folder = None

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or self.starts:
            return
        if event in PROGRAMS:
            raise Escape(f"{event} {arguments[:2]!r:.200}")
        writes = (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if (writes or event in WRITES) and isinstance(arguments[0], str | bytes | Path):
            path = Path(os.fsdecode(arguments[0])).resolve()
            if not path.is_relative_to(self.folder) and path != Path(os.devnull):
                raise Escape(f"{event} {path}")


def problem(reader: Reader, content: bytes, guard: Guard) -> str | None:
    """What is wrong with how `content` was read; None where nothing is."""
    with tempfile.TemporaryDirectory(prefix="edgekd-fuzz-") as name:
        path = Path(name) / reader.file
        path.write_bytes(content)
        try:
            with guard.around(path.parent, reader):
                reader.read(path)
        except (EdgekdError, *reader.allowed):
            return None
        except (Exception, Escape) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {error!s:.200}"
            return f"{told} ({Path(last.filename).name}, line {last.lineno})"
    return None


def _work(name: str, seed: int, seconds: float, channel: Connection) -> None:
    """Reads changed inputs; each is told before it is read, and then what came of it."""
    reader, known, guard = READERS[name], seeds(name), Guard()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries warn of every input
    for content in known:  # libraries are imported now
        problem(reader, content, guard)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, resource.RLIM_INFINITY))
    random, until = Random(seed), time.monotonic() + seconds  # noqa: S311
    while time.monotonic() < until:
        content = mutate(random, random.choice(known), known)
        channel.send(content)
        channel.send(problem(reader, content, guard))
    channel.send(None)


def fuzz(name: str, minutes: float, seed: int) -> tuple[int, dict[str, bytes]]:
    """How many inputs a reader was given, and what went wrong, with the first input for each."""
    left, count, found = 60 * minutes, 0, {}
    patience = STARTING if READERS[name].starts else HANG
    while left > 0:
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(
            target=_work, args=(name, seed + count, left, theirs)
        )
        child.start()
        theirs.close()
        try:
            content = ours.recv()  # it has its libraries
        except EOFError as error:
            raise SystemExit(f"The whole files of {name} cannot be read.") from error
        began = time.monotonic()
        while content is not None:
            count += 1
            problem = _told(ours, child, patience)
            if problem:
                found.setdefault(problem, content)
            try:
                content = ours.recv()
            except (EOFError, OSError):  # it was ended, or ended by itself
                break
        left -= time.monotonic() - began
        child.join()
    return count, found


def _told(channel: Connection, child: Any, patience: float) -> str | None:
    """What the child says of an input; one that says nothing is ended."""
    try:
        if channel.poll(patience):
            told: str | None = channel.recv()
            return told
    except EOFError:
        child.join()
        return f"the process ended with {child.exitcode}"
    child.kill()
    child.join()
    return f"no end within {patience:.0f} s"


def main() -> None:
    """See the module."""
    parser = options(__doc__, __file__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for each reader")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--found", type=Path, default=Path("runs/fuzz"), help="for inputs")
    chosen = parser.parse_args()
    start, figures, rows = started(), {}, []
    for name in chosen.readers:
        count, found = fuzz(name, chosen.minutes, chosen.seed)
        figures[name] = {"inputs": count, "found": list(found)}
        rows.append(Row(name, f"{len(found)} of {count:,} inputs", "0", not found))
        print(name, count, *found, sep="\n  ", flush=True)
        for number, content in enumerate(found.values()):
            chosen.found.mkdir(parents=True, exist_ok=True)
            (chosen.found / f"{name}-{number}").write_bytes(content)
    finish(
        "Damaged files: crashes, hangs, escapes",
        start,
        runs=f"{chosen.minutes:g} minutes a reader",
        quick=chosen.minutes < 1,
        figures=figures,
        rows=rows,
        results=chosen.results,
    )


if __name__ == "__main__":
    main()
