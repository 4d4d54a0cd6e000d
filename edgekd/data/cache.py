"""What is kept between runs: decoded data, and fingerprints of files that have not changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekd.errors import DataError
from edgekd.store import cache_folder, digest, write_json

JUST_NOW = 2 * 10**9
"""Nanoseconds. A file that was changed so shortly ago could change again without a new time, as
file systems count time in steps; its fingerprint is not remembered."""


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal; remembered while the file is unchanged.

    Raises:
        OSError: it cannot be read.
    """

    def compute() -> str:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    found = path.stat()
    return remembered(path, state_of(found), newest(found), compute)


def state_of(found: os.stat_result) -> list[int]:
    """What changes with a file's content: size, times, and which file it is. The time of the last
    change of its entry (ctime) cannot be set back as that of its content (mtime) can.
    """
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


def newest(found: os.stat_result) -> int:
    """When a file last changed, in nanoseconds since 1970."""
    return max(found.st_mtime_ns, found.st_ctime_ns)


def remembered(path: Path, state: Any, changed: int, compute: Callable[[], str]) -> str:
    """What `compute` gave for `path` when its state was the same.

    Args:
        state: what JSON can hold, equal only while the content is the same.
        changed: when the content last changed, in nanoseconds since 1970.
    """
    started = time.time_ns()
    name = digest(str(path.absolute()))
    note = cache_folder() / "fingerprints" / f"{name}.json"
    known = _read(note)
    if known.get("state") == state and isinstance(known.get("value"), str):
        return known["value"]
    value = compute()
    if changed < started - JUST_NOW:
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            write_json(note, {"path": str(path.absolute()), "state": state, "value": value})
        except OSError:  # a cache that cannot be written to makes the next run slower, no more
            pass
    return value


def _read(note: Path) -> dict[str, Any]:
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def files_fingerprint(places: Sequence[Path], name: str = "") -> str:
    """SHA-256 of a name and the content of files, hexadecimal.

    Raises:
        DataError: there is no such file.
    """
    found = hashlib.sha256(name.encode())
    for place in places:
        if not place.is_file():
            raise DataError(
                "There is no such file.",
                where=str(place),
                fix="give data.path; a relative path starts at the pipeline file's folder",
            )
        found.update(file_fingerprint(place).encode())
    return found.hexdigest()
