"""Run folders: an artefact per key, written beside and renamed when whole.

runs/NAME/STAGE-KEY/manifest.json   inputs' keys, settings, versions, time, figures
runs/NAME/STAGE-KEY/...             what the stage made
runs/NAME/.work/STAGE-KEY/          the same while it is being made: checkpoints survive a kill
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from edgekd.errors import EdgekdError, StageError

MANIFEST = "manifest.json"
KEY_LENGTH = 12


def canonical_json(value: Any) -> str:
    """`value` as JSON with one spelling: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of `value`'s canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:KEY_LENGTH]


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that replaces `path` when the block ends well, and only then: a reader
    sees the old one or the whole new one, also after a crash.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes a whole file by `atomic_file`."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        StageError: it is missing or broken.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(
            "A file of the run folder cannot be read.",
            where=f"{path}: {error}",
            fix="remove its folder: the stage is then made again",
        ) from error


class Store:
    """The artefacts of one run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / ".work"

    def path(self, stage: str, key: str) -> Path:
        """Where the finished artefact lies, or will lie."""
        return self.folder / f"{stage}-{key}"

    def finished(self, stage: str, key: str) -> dict[str, Any] | None:
        """The manifest of a finished artefact, or None."""
        path = self.path(stage, key) / MANIFEST
        return read_json(path) if path.is_file() else None

    @contextlib.contextmanager
    def making(self, stage: str, key: str) -> Iterator[Path]:
        """A working folder for the artefact. It outlives a killed process, so that work goes on."""
        folder = self.work / f"{stage}-{key}"
        folder.mkdir(parents=True, exist_ok=True)
        with locked(self.work / f"{stage}-{key}.lock"):
            yield folder

    def finish(self, stage: str, key: str, made: Path, manifest: Mapping[str, Any]) -> Path:
        """Renames the working folder `made` to the finished artefact, with its manifest."""
        write_json(made / MANIFEST, dict(manifest))
        final = self.path(stage, key)
        if final.exists():
            shutil.rmtree(final)
        os.replace(made, final)
        return final

    def discard(self, stage: str, key: str) -> None:
        """Removes an artefact, finished or not, so that it is made again."""
        shutil.rmtree(self.path(stage, key), ignore_errors=True)
        shutil.rmtree(self.work / f"{stage}-{key}", ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock that the system releases when the process ends, however it ends.

    Raises:
        EdgekdError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EdgekdError(
                "Another edgekd works on this run folder.",
                where=str(path),
                fix="wait for it, or give this run another folder with --runs",
            ) from error
        yield
