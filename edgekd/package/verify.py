"""Whether files are what their manifest says, and the manifest what somebody signed.

Checksums alone find accidents. Who changes a file can change the manifest as well, but not sign it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgekd.errors import ConfigError, EdgekdError
from edgekd.package.manifest import MANIFEST
from edgekd.package.signature import SIGNATURE, check
from edgekd.store import parse_json

BESIDE = frozenset({MANIFEST, SIGNATURE})
"""Files that no manifest covers."""
FAULTS_SHOWN = 10
AGAIN = "do not use it; fetch or make it again"


@dataclass(frozen=True)
class Fault:
    """A file that is not as the manifest has it."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class Entry:
    """What a manifest says of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read, with the parts that checks need."""

    content: bytes
    name: str
    version: str
    files: Mapping[str, Entry]
    """By their path from the manifest's folder, none of which leaves it."""


@dataclass(frozen=True)
class Verified:
    """A bundle that is what its manifest says."""

    manifest: Manifest
    signed: str | None
    """Who signed it, None where nobody was asked for."""


def verify(folder: Path, signer: Path | None = None) -> Verified:
    """Checks a bundle, or a model of the registry: a folder with a `manifest.json`.

    Args:
        signer: a public key or a file of allowed signers; without one, only checksums are compared.

    Raises:
        ConfigError: there is no manifest, or `signer` is no such file.
        EdgekdError: the signature does not hold, or a file is missing, extra, changed, cut off or
            has another's content; each is named.
    """
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        inside = sorted(each.parent.name for each in folder.glob(f"*/{MANIFEST}"))
        raise ConfigError(
            "There is no manifest to compare files with.",
            where=str(path),
            fix=f"give one of its folders: {', '.join(inside)}" if inside else "give a bundle",
        )
    content = path.read_bytes()
    signature = folder / SIGNATURE
    signed = None
    if signer is not None:
        signed = check_signed(content, _bytes_of(signature), signer, str(folder))
    manifest = read_manifest(content, str(path))
    refuse(list(_faults(folder, manifest)), str(folder))
    return Verified(manifest, signed)


def check_signed(content: bytes, signature: bytes | None, signer: Path, where: str) -> str:
    """Who signed a manifest.

    Raises:
        EdgekdError: nobody did, or the signature does not hold.
    """
    if signature is None:
        raise EdgekdError(
            "This is not signed: nothing tells whether somebody changed it.",
            where=f"{where}, {SIGNATURE} is missing",
            fix="make it with --sign KEY, or leave --signer out and know that it is not checked",
        )
    return check(content, signature, signer)


def read_manifest(content: bytes, where: str) -> Manifest:
    """A manifest's content.

    Raises:
        EdgekdError: it is none, or names a file outside its folder.
    """
    try:
        told = parse_json(content)
        files = {str(path): _entry(entry) for path, entry in told["files"].items()}
        name, version = str(told["name"]), str(told["version"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EdgekdError(
            "The manifest cannot be read.", where=f"{where}: {error!r}"[:300], fix=AGAIN
        ) from error
    wrong = sorted(path for path in files if not is_inside(path) or path in BESIDE)
    if wrong:
        raise EdgekdError(
            f"The manifest names a path that no bundle has: {wrong[0]!r}.", where=where, fix=AGAIN
        )
    return Manifest(content, name, version, files)


def _entry(told: Any) -> Entry:
    if not isinstance(told["bytes"], int) or not isinstance(told["sha256"], str):
        raise TypeError("bytes is a number and sha256 a text")
    return Entry(told["bytes"], told["sha256"])


def is_inside(path: str) -> bool:
    """Whether a relative path, written with slashes and in one way only, stays in its folder on
    every system."""
    pure = PurePosixPath(path)
    plain = bool(path) and path == str(pure) and not set(path) & set("\\:\0")
    return plain and not pure.is_absolute() and not {".", ".."} & set(pure.parts)


def fault_of(path: str, content: bytes | None, manifest: Manifest) -> Fault | None:
    """What is wrong with the content of a file that the manifest has."""
    wanted = manifest.files[path]
    if content is None:
        return Fault(path, "missing")
    found = hashlib.sha256(content).hexdigest()
    if found == wanted.sha256 and len(content) == wanted.bytes:
        return None
    for other, entry in manifest.files.items():
        if other != path and entry.sha256 == found:
            return Fault(path, f"has the content of {other}")
    if len(content) < wanted.bytes:
        return Fault(path, f"cut off, {len(content)} of {wanted.bytes} bytes")
    return Fault(path, "changed")


def refuse(faults: Sequence[Fault], where: str) -> None:
    """Ends where there are faults.

    Raises:
        EdgekdError: there are some.
    """
    if not faults:
        return
    told = "; ".join(map(str, faults[:FAULTS_SHOWN]))
    more = len(faults) - FAULTS_SHOWN
    raise EdgekdError(
        "This is not what its manifest says: " + told + (f"; {more} more." if more > 0 else "."),
        where=where,
        fix=AGAIN,
    )


def _faults(folder: Path, manifest: Manifest) -> Iterator[Fault]:
    """Every file of the folder compared with the manifest; links are never followed."""
    there: set[str] = set()
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        there.add(name)
        if not stat.S_ISREG(path.lstat().st_mode):
            yield Fault(name, "a link or a device, not a file")
        elif name in manifest.files:
            fault = fault_of(name, path.read_bytes(), manifest)
            if fault is not None:
                yield fault
        elif name not in BESIDE:
            yield Fault(name, "not in the manifest")
    for name in sorted(manifest.files.keys() - there):
        yield Fault(name, "missing")


def _walk(folder: Path) -> Iterator[Path]:
    """Everything below that is no real folder, sorted."""
    for top, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        folders.sort()
        yield from (Path(top) / name for name in sorted(files + links))


def _bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None
