"""The files of a bundle, read whole and compared with its manifest before any is used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

MANIFEST, SPEC, GOLDEN = "manifest.json", "spec.json", "golden.json"
FORMAT_VERSION = 1


class BundleError(RuntimeError):
    """A bundle that is damaged, incomplete, or mixed from several."""


def read_bundle(folder: Path) -> dict[str, bytes]:
    """The content of every file that the manifest names, by its name.

    Raises:
        BundleError: a file is missing or is not the one that belongs to the bundle.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        version, told = manifest["format_version"], manifest["files"]
        wanted = {str(name): str(entry["sha256"]) for name, entry in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(folder, f"{MANIFEST} cannot be read ({type(error).__name__})") from error
    if version != FORMAT_VERSION:
        raise _broken(folder, f"{MANIFEST} is of format {version}, and this code reads 1")
    found = {}
    for name, sha256 in wanted.items():
        if name != Path(name).name:
            raise _broken(folder, f"{MANIFEST} names {name}, which is no file beside it")
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise _broken(folder, f"{name} is missing") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise _broken(folder, f"{name} is not the file that belongs to it (SHA-256)")
        found[name] = content
    return found


def read_json(files: dict[str, bytes], name: str, folder: Path) -> dict[str, Any]:
    """A JSON file of the bundle.

    Raises:
        BundleError: it is not there, or of another format.
    """
    try:
        told = json.loads(files[name])
        version = told["format_version"]
    except (KeyError, ValueError, TypeError) as error:
        raise _broken(folder, f"{name} cannot be read") from error
    if version != FORMAT_VERSION:
        raise _broken(folder, f"{name} is of format {version}, and this code reads 1")
    return told


def _broken(folder: Path, problem: str) -> BundleError:
    return BundleError(
        f"This bundle cannot be used: {problem}. Install it again, whole. ({folder})"
    )
