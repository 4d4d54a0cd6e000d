"""Google's `benchmark_model` on this machine: a file that the profile names, or one downloaded."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import urllib.request
from pathlib import Path

from edgekd.config.device import DeviceSettings
from edgekd.errors import StageError
from edgekd.store import cache_folder

PATIENCE = 60.0
"""Seconds that a server may be silent."""
WHERE_FROM = "docs/devices.md says where it comes from"


def tool(settings: DeviceSettings) -> Path:
    """The program for a profile's phone. A download is kept, and made once.

    Raises:
        StageError: the profile names none, there is no such file, or it is another one than the
            profile says.
    """
    named, wanted = settings.benchmark_model, settings.benchmark_model_sha256
    if named is None:
        raise StageError(
            "There is nothing that could measure on this phone.",
            where=settings.name,
            fix="name Google's benchmark_model in the profile (benchmark_model: PATH; "
            f"{WHERE_FROM}), or a Python on the phone (python: PATH)",
        )
    if "://" in named:
        assert wanted is not None
        return _downloaded(named, wanted, settings.name)
    path = Path(named)
    if not path.is_file():
        raise StageError(
            "There is no benchmark_model where the profile says.",
            where=f"{settings.name}: {path}",
            fix=WHERE_FROM,
        )
    if wanted is not None:
        _check(path, wanted, f"{settings.name}: {path}")
    return path


def _downloaded(address: str, wanted: str, name: str) -> Path:
    path = cache_folder() / "benchmark_model" / wanted
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as beside:
        new = Path(beside) / "new"
        try:
            request = urllib.request.urlopen(address, timeout=PATIENCE)  # noqa: S310 https only
            with request as content, new.open("wb") as file:
                shutil.copyfileobj(content, file)
        except (OSError, ValueError) as error:
            raise StageError(
                "benchmark_model cannot be downloaded.",
                where=f"{name}: {address}: {error}",
                fix="download it yourself and name its path in the profile",
            ) from error
        _check(new, wanted, f"{name}: {address}")
        os.replace(new, path)
    return path


def _check(path: Path, wanted: str, where: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise StageError(
            "This benchmark_model is another one than the profile says.",
            where=f"{where}\n  its SHA-256 is {found}",
            fix="if it is the one that you want, write that into benchmark_model_sha256",
        )
