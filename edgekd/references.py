"""Functions of the user's own: "module:function", or "file.py:function"."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from edgekd.errors import StageError


def source_text(reference: str, base: Path | None = None) -> str:
    """Text of the file that defines the function, for cache keys.

    Neither the file nor torch is imported; of a dotted module its parent packages are.

    Raises:
        StageError: there is no such file or module, or it is not Python text.
    """
    target, _ = split_reference(reference)
    try:
        return source_file(reference, target, base).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(f"The source of {reference} cannot be read.", where=str(error)) from error


def user_function(reference: str, base: Path | None, signature: str) -> Any:
    """The function that a reference names, imported.

    Args:
        base: the folder that the path of a file starts from.
        signature: how it is written, with {name}, for errors.

    Raises:
        StageError: the module cannot be imported, or has no such function.
    """
    target, name = split_reference(reference)
    module = _module(reference, target, base)
    function = getattr(module, name, None)
    if not callable(function):
        raise StageError(
            f"{target} has no function {name}.",
            where=f"python: {reference}",
            fix=f"write there: {signature.format(name=name)}",
        )
    return function


class _FreshLoader(SourceFileLoader):
    """Compiles the file as it is now: Python's bytecode cache tells files apart by whole seconds,
    and what runs has to be the source that the cache key was made from.
    """

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _module(reference: str, target: str, base: Path | None) -> ModuleType:
    try:
        if not target.endswith(".py"):
            return importlib.import_module(target)
        path = source_file(reference, target, base)
        name = f"edgekd_user_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        loader = _FreshLoader(name, str(path))
        found = importlib.util.spec_from_file_location(name, path, loader=loader)
        assert found is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module  # dataclasses look their module up there
        loader.exec_module(module)
        return module
    except StageError:
        raise
    except Exception as error:  # a user's module may raise anything while it is imported
        raise StageError(
            f"{target} cannot be imported: {type(error).__name__}: {error}",
            where=where_raised(error, f"python: {reference}"),
            fix="install the module, or name its file: folder/file.py:function",
        ) from error


def where_raised(error: BaseException, fallback: str) -> str:
    """File and line of the innermost frame of the user's own, which is what to open."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and not any(Path(frame.filename).is_relative_to(place) for place in _not_users())
    ]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else fallback


def _not_users() -> tuple[Path, ...]:
    """Folders of code that the user did not write: edgekd, torch and Python's library."""
    import torch

    library = Path(importlib.__file__).parents[1]
    return Path(__file__).parent, Path(torch.__file__).parent, library / "importlib"


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
