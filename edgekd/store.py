"""Run folders: an artefact per key, written beside and renamed when whole.

runs/NAME/STAGE-KEY/manifest.json   inputs' keys, settings, versions, time, figures
runs/NAME/STAGE-KEY/...             what the stage made
runs/NAME/.work/STAGE-KEY/          the same while it is being made: checkpoints survive a kill
runs/.locks/STAGE-KEY.lock          held while an artefact is made that run folders share
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from edgekd.errors import EdgekdError, StageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

MANIFEST = "manifest.json"
FILES, SUM = "files", "sum"
"""Of a manifest: what each file of the artefact is, and the digest of all the rest of it."""
KEY_LENGTH = 12
LOCKS = ".locks"
"""Beside the run folders: locks of what they share."""


def cache_folder() -> Path:
    """Where what can be made again is kept for all runs: $EDGEKD_CACHE, or edgekd in the user's
    cache folder."""
    own = os.environ.get("EDGEKD_CACHE")
    if own:
        return Path(own)
    users = os.environ.get("XDG_CACHE_HOME")
    return (Path(users) if users else Path.home() / ".cache") / "edgekd"


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


def new_map(path: Path, kind: DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """A new .npy file of zeros, memory-mapped, that has all of its disk space: writing to a map of
    a file with holes ends the process where the disk is full, and this is an error that can be
    told.

    Raises:
        OSError: the disk is full.
    """
    from numpy.lib.format import open_memmap

    found = open_memmap(path, "w+", kind, shape)
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return found


def parse_json(content: str | bytes) -> Any:
    """What a JSON text says, which anybody may have written.

    Raises:
        ValueError: it is none, or nests too deep.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        StageError: it is missing or broken.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(
            "A file of the run folder cannot be read.",
            where=f"{path}: {error}",
            fix=f"remove its folder, {path.parent}: the stage is then made again"
            if path.name == MANIFEST
            else "remove it, and run the same command again",
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
        """The manifest of a finished artefact, or None.

        Raises:
            StageError: the artefact is not what was made; says which folder to remove.
        """
        path = self.path(stage, key) / MANIFEST
        if not path.is_file():
            return None
        manifest = read_json(path)
        wrong = _changed(path.parent, manifest)
        if wrong:
            raise StageError(
                f"A finished stage is not as it was made: {wrong}.",
                where=str(path.parent / wrong.partition(" ")[0]),
                fix=f"remove the folder {path.parent}: the stage is then made again",
            )
        return {name: value for name, value in manifest.items() if name not in (FILES, SUM)}

    @contextlib.contextmanager
    def making(
        self,
        stage: str,
        key: str,
        waiting: Callable[[], None] | None = None,
        *,
        shared: bool = False,
    ) -> Iterator[Path]:
        """A working folder for the artefact. It outlives a killed process, so that work goes on.

        While another process makes the same artefact, this one calls `waiting` and waits until that
        is finished or dead; look then whether it is `finished`.

        Args:
            shared: wait for one that makes it in a run folder beside this one, too; then `adopt`.

        Raises:
            EdgekdError: another process makes it, and `waiting` is left out.
        """
        folder = self.work / f"{stage}-{key}"
        lock = f"{stage}-{key}.lock"
        with contextlib.ExitStack() as held:
            # Always in this order, so that no two wait for each other.
            held.enter_context(locked(self.work / lock, waiting))
            if shared and self.finished(stage, key) is None:
                held.enter_context(locked(self.folder.parent / LOCKS / lock, waiting))
            folder.mkdir(exist_ok=True)
            yield folder
            with contextlib.suppress(OSError):  # not empty, or renamed: it is of use
                folder.rmdir()

    def adopt(self, stage: str, key: str) -> bool:
        """Takes a finished artefact of this key over from a run folder beside this one, by links to
        its files: they are never changed. A key covers all that can change an artefact, so it is
        the same. Call it while `making`.
        """
        for manifest in sorted(self.folder.parent.glob(f"*/{stage}-{key}/{MANIFEST}")):
            work, final = self.work / f"{stage}-{key}", self.path(stage, key)
            if manifest.parent == final or _broken(manifest):
                continue
            try:
                shutil.rmtree(work, ignore_errors=True)
                shutil.copytree(manifest.parent, work, copy_function=_link)
                os.replace(work, final)
                return True
            except OSError:  # it was removed meanwhile
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
        return False

    def finish(self, stage: str, key: str, made: Path, manifest: Mapping[str, Any]) -> Path:
        """Renames the working folder `made` to the finished artefact, with its manifest."""
        told = json.loads(json.dumps({**manifest, FILES: _contents(made)}, allow_nan=False))
        write_json(made / MANIFEST, {**told, SUM: digest(told)})
        final = self.path(stage, key)
        if final.exists():
            shutil.rmtree(final)
        os.replace(made, final)
        return final

    def discard(self, stage: str, key: str) -> None:
        """Removes an artefact, finished or not, so that it is made again."""
        shutil.rmtree(self.path(stage, key), ignore_errors=True)
        shutil.rmtree(self.work / f"{stage}-{key}", ignore_errors=True)


def _contents(folder: Path) -> dict[str, list[Any]]:
    """Of every file below but the manifest: SHA-256, bytes, time of its last change, inode."""
    found: dict[str, list[Any]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST:
            found[path.relative_to(folder).as_posix()] = [_sha256(path), *_state(path)]
    return found


def _changed(folder: Path, manifest: Any) -> str:
    """The file that is not as the manifest has it and what became of it; "" where all is well.

    A file with the size, time and inode that it was made with has not been written to; others,
    such as those of a copied folder, are read. Manifests of edgekd before 0.1.0 list no files.
    """
    if not isinstance(manifest, dict):
        return f"{MANIFEST} was changed"
    if FILES not in manifest and SUM not in manifest:
        return ""
    if manifest.get(SUM) != digest({k: v for k, v in manifest.items() if k != SUM}):
        return f"{MANIFEST} was changed"
    for name, (sha256, *state) in manifest[FILES].items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        now = _state(path)
        if now != state and (now[0] != state[0] or _sha256(path) != sha256):
            return f"{name} was changed"
    return ""


def _broken(manifest: Path) -> bool:
    """Whether the artefact of a manifest is not to be taken over."""
    try:
        return bool(_changed(manifest.parent, read_json(manifest)))
    except (OSError, StageError):
        return True


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link(source: str, target: str) -> None:
    """A hard link, or where there are none, a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds an exclusive lock that the system releases when the process ends, however it ends.

    Args:
        waiting: called if another process holds it, whose end is then waited for.

    Raises:
        EdgekdError: another process holds it, and `waiting` is left out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        if not _lock_now(file):
            if waiting is None:
                raise EdgekdError(
                    "Another edgekd works on this run folder.",
                    where=str(path),
                    fix="wait for it, or give this run another folder with --runs",
                )
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lock_now(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
