"""The user's own networks: "module:function", or "file.py:function"."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from edgekd.errors import StageError
from edgekd.models.python_source import source_file, split_reference
from edgekd.spec import InputSpec

if TYPE_CHECKING:
    from torch import nn

SIGNATURE = "def {name}(spec: edgekd.spec.InputSpec, classes: int, **arguments) -> torch.nn.Module"


def from_factory(
    reference: str,
    arguments: Mapping[str, Any],
    spec: InputSpec,
    classes: int,
    base: Path | None = None,
) -> nn.Module:
    """Calls the factory, and tries its network on two samples.

    Raises:
        StageError: the factory cannot be imported or fails, or what it returns is no network from
            (N, *spec.shape) to (N, classes).
    """
    from torch import nn

    function = _function(reference, base)
    try:
        network = function(spec, classes, **arguments)
    except Exception as error:
        raise StageError(
            f"{reference} failed: {type(error).__name__}: {error}",
            where=_where_raised(error, reference),
            fix=f"it is called as {SIGNATURE.format(name=function.__name__)}",
        ) from error
    if not isinstance(network, nn.Module):
        raise StageError(
            f"{reference} returned a {type(network).__name__}, not a torch.nn.Module.",
            where=reference,
            fix="return the network",
        )
    _try_out(network, reference, spec, classes)
    return network


def _try_out(network: nn.Module, reference: str, spec: InputSpec, classes: int) -> None:
    import torch

    parameter = next(network.parameters(), None)
    like = parameter if parameter is not None else torch.zeros(())
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            answer = network(torch.zeros(2, *spec.shape, device=like.device))
    except Exception as error:
        raise StageError(
            f"The network of {reference} fails on an input (2, {_list(spec.shape)}): "
            f"{type(error).__name__}: {error}",
            where=_where_raised(error, reference),
            fix="its forward gets (N, *spec.shape), float32, normalised",
        ) from error
    finally:
        for module, training in modes:
            module.training = training
    if not isinstance(answer, torch.Tensor) or answer.shape != (2, classes):
        given = (
            f"({_list(answer.shape)})"
            if isinstance(answer, torch.Tensor)
            else type(answer).__name__
        )
        raise StageError(
            f"The network of {reference} answers two samples with {given}, "
            f"and not with logits (2, {classes}).",
            where=reference,
            fix="forward returns one tensor (N, classes), before any softmax",
        )


def _function(reference: str, base: Path | None) -> Any:
    target, name = split_reference(reference)
    module = _module(reference, target, base)
    function = getattr(module, name, None)
    if not callable(function):
        raise StageError(
            f"{target} has no function {name}.",
            where=f"python: {reference}",
            fix=f"write there: {SIGNATURE.format(name=name)}",
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
            where=_where_raised(error, f"python: {reference}"),
            fix="install the module, or name its file: folder/file.py:function",
        ) from error


def _where_raised(error: BaseException, fallback: str) -> str:
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
    return Path(__file__).parents[1], Path(torch.__file__).parent, library / "importlib"


def _list(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
