"""The files of a folder or of a .zip that nobody vouches for; a .zip is never extracted."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath
from types import TracebackType

from edgekd.data.cache import newest, remembered, state_of
from edgekd.errors import DataError
from edgekd.store import digest

LARGEST_FILE = 256 << 20
"""Bytes of one picture or recording."""
BOMB_RATIO = 200
"""A member that unpacks to more than this many times its packed size is a bomb: deflate reaches
1,000, and pictures and recordings hardly 10."""
BOMB_LEAST = 1 << 20
"""Below this size a high ratio does no harm (silence, a blank picture)."""
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError),
    UnicodeDecodeError,
)


class Files:
    """Names and contents below a folder or in a .zip; `read` may be called from many threads.

    Raises:
        DataError: there is nothing there, or a .zip has names that lead outside or is a bomb.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.zip: zipfile.ZipFile | None = None
        self.stats: dict[str, os.stat_result] = {}
        if path.is_dir():
            self.folders: set[str] = set()
            self._walk(path.resolve(), "", path.resolve())
            self.names = sorted(self.stats)
        elif path.is_file():
            self.zip = self._open()
            try:
                members = [_checked(member, path) for member in self.zip.infolist()]
                _check_whole(members, path)
            except DataError:
                self.zip.close()
                raise
            self.names = sorted(m.filename for m in members if not m.is_dir())
            self.folders = {m.filename.rstrip("/") for m in members if m.is_dir()}
        else:
            raise DataError(
                "There is no such folder or .zip file.",
                where=str(path),
                fix="a relative data.path starts at data.root, else at the pipeline file's folder",
            )
        self.names = [name for name in self.names if not _hidden(name)]
        self.folders = {name for name in self.folders if not _hidden(name)}
        if not self.names:
            self.close()
            raise DataError("There are no files in it.", where=str(path))

    def __enter__(self) -> Files:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the .zip."""
        if self.zip is not None:
            self.zip.close()

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            OSError: it cannot be read, or is larger than 256 MB.
        """
        try:
            if self.zip is None:
                with open(self.path / name, "rb") as file:
                    content = file.read(LARGEST_FILE + 1)
            else:
                with self.lock, self.zip.open(name) as file:
                    content = file.read(LARGEST_FILE + 1)
        except BROKEN as error:
            raise OSError(str(error) or type(error).__name__) from error
        if len(content) > LARGEST_FILE:
            raise OSError(f"larger than {LARGEST_FILE >> 20} MB")
        return content

    def fingerprint(self) -> str:
        """SHA-256 of all names and contents of a folder, hexadecimal; remembered while no file
        changes.
        """
        states = [[name, *state_of(self.stats[name])] for name in self.names]
        changed = max(newest(self.stats[name]) for name in self.names)
        state = digest([states, sorted(self.folders)])
        return remembered(self.path, state, changed, self._contents)

    def _contents(self) -> str:
        whole = hashlib.sha256()
        for name in self.names:
            with open(self.path / name, "rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            whole.update(name.encode("utf-8", "surrogateescape") + b"\0" + content)
        for folder in sorted(self.folders):
            whole.update(folder.encode("utf-8", "surrogateescape") + b"/")
        return whole.hexdigest()

    def _walk(self, folder: Path, prefix: str, top: Path) -> None:
        """Lists the files below `folder`; links are followed to files inside `top` only."""
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                if _hidden(entry.name):
                    continue
                if entry.is_symlink() and (entry.is_dir() or not _inside(entry.path, top)):
                    raise DataError(
                        "A link leads out of the folder, or to another folder.",
                        where=f"{top}, {name!r} -> {Path(entry.path).readlink()}",
                        fix="copy the files there instead; edgekd reads what the folder holds",
                    )
                if entry.is_dir():
                    self.folders.add(name)
                    self._walk(Path(entry.path), f"{name}/", top)
                elif entry.is_file():
                    self.stats[name] = entry.stat()

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except BROKEN as error:
            raise DataError(
                "This is not a .zip file, or not a whole one.",
                where=f"{self.path}: {error}",
                fix="copy it again, or give the folder itself",
            ) from error


def _inside(path: str, top: Path) -> bool:
    return Path(path).resolve().is_relative_to(top)


def _checked(member: zipfile.ZipInfo, path: Path) -> zipfile.ZipInfo:
    name = member.filename
    parts = PurePosixPath(name).parts
    mode = member.external_attr >> 16
    ratio = member.file_size / max(1, member.compress_size)
    if not name:
        problem = "has no name"
    elif name.startswith(("/", "\\")) or ".." in parts or "\\" in name or ":" in name[1:2]:
        problem = "leads outside of the archive"
    elif stat.S_ISLNK(mode):
        problem = "is a symbolic link"
    elif member.flag_bits & 1:
        problem = "is encrypted"
    elif member.file_size > LARGEST_FILE:
        problem = f"unpacks to {member.file_size / 1e6:.0f} MB"
    elif member.file_size > BOMB_LEAST and ratio > BOMB_RATIO:
        problem = f"unpacks to {ratio:.0f} times its size, like a bomb"
    else:
        return member
    raise DataError(
        f"A file in this .zip {problem}, so edgekd does not read the archive.",
        where=f"{path}, {name!r}",
        fix="make the .zip again from a folder of plain files",
    )


def _check_whole(members: list[zipfile.ZipInfo], path: Path) -> None:
    names = Counter(member.filename for member in members)
    twice = [name for name, count in names.items() if count > 1]
    size = sum(member.file_size for member in members)
    if twice:
        problem, where = "holds a name twice", f"{path}, {twice[0]!r}"
    elif size > LARGEST_FILE and size > BOMB_RATIO * path.stat().st_size:
        problem, where = f"unpacks to {size / 1e9:.0f} GB, like a bomb", str(path)
    else:
        return
    raise DataError(
        f"This .zip {problem}, so edgekd does not read it.",
        where=where,
        fix="make the .zip again from a folder of plain files",
    )


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
