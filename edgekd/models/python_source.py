"""Where a `python:` factory, "module:function" or "file.py:function", has its source."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError


def python_source(settings: ModelSettings, base: Path | None = None) -> str:
    """Text of the file that defines the `python:` factory, for cache keys; "" for the zoo.

    Neither the file nor torch is imported; of a dotted module its parent packages are.

    Raises:
        StageError: there is no such file or module, or it is not Python text.
    """
    if settings.python is None:
        return ""
    target, _ = split_reference(settings.python)
    try:
        return source_file(settings.python, target, base).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(
            f"The source of {settings.python} cannot be read.", where=str(error)
        ) from error


def split_reference(reference: str) -> tuple[str, str]:
    target, _, name = reference.rpartition(":")
    if not target or not name.isidentifier():
        raise StageError(
            f"{reference!r} does not name a function.",
            where=f"python: {reference}",
            fix="write module:function or file.py:function",
        )
    return target, name


def source_file(reference: str, target: str, base: Path | None) -> Path:
    if target.endswith(".py"):
        return _inside(reference, Path(target), (base or Path()).resolve())
    try:
        found = importlib.util.find_spec(target)
    except (ImportError, ValueError) as error:
        raise _no_module(reference, target) from error
    if found is None or not found.has_location or found.origin is None:
        raise _no_module(reference, target)
    return Path(found.origin)


def _inside(reference: str, path: Path, base: Path) -> Path:
    full = (base / path).resolve()
    if not path.is_absolute() and not full.is_relative_to(base):
        raise StageError(
            f"{path} leads out of the pipeline file's folder.",
            where=f"python: {reference}; the folder is {base}",
            fix="move the file there, or give its absolute path",
        )
    if not full.is_file():
        raise StageError(f"There is no file {full}.", where=f"python: {reference}")
    return full


def _no_module(reference: str, target: str) -> StageError:
    return StageError(
        f"There is no module {target}.",
        where=f"python: {reference}",
        fix="install it, or name its file: folder/file.py:function",
    )
