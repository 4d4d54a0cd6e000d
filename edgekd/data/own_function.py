"""Arrays from the user's own function: "module:function", or "file.py:function"."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import PythonData
from edgekd.data.arrays import NAMES, from_arrays
from edgekd.data.dataset import Dataset
from edgekd.errors import DataError
from edgekd.references import source_text, split_reference, user_function, where_raised
from edgekd.store import canonical_json

SIGNATURE = "def {name}(**arguments) -> tuple[numpy.ndarray, numpy.ndarray]"
PAIR = 2


def load(settings: PythonData, base: Path) -> Dataset:
    """The data set of the arrays that the function returns.

    Raises:
        DataError: it fails, or what it returns cannot be used.
        StageError: it cannot be imported.
    """
    function = user_function(settings.python, base, SIGNATURE)
    try:
        given = function(**settings.arguments)
    except Exception as error:
        raise DataError(
            f"{settings.python} failed: {type(error).__name__}: {error}",
            where=where_raised(error, settings.python),
            fix="it is called with data.arguments",
        ) from error
    _, name = split_reference(settings.python)
    return from_arrays(_arrays(given, settings.python), settings, name, settings.python)


def source_fingerprint(settings: PythonData, base: Path) -> str:
    """SHA-256 of the function's source and its arguments, hexadecimal.

    Raises:
        StageError: there is no such file or module.
    """
    text = source_text(settings.python, base) + canonical_json(settings.arguments)
    return hashlib.sha256(text.encode()).hexdigest()


def _arrays(given: Any, reference: str) -> dict[str, NDArray[Any]]:
    if isinstance(given, tuple | list) and len(given) == PAIR:
        given = {"x": given[0], "y": given[1]}
    if not isinstance(given, Mapping):
        raise DataError(
            f"{reference} returned a {type(given).__name__}.",
            where=reference,
            fix=f"return (x, y), or a dictionary of arrays: {NAMES}",
        )
    return {str(name): _array(array, str(name), reference) for name, array in given.items()}


def _array(given: Any, name: str, reference: str) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    if array.dtype.hasobject:
        raise DataError(
            f"{name} is no array of numbers or strings.",
            where=reference,
            fix="np.asarray(...) of samples of one shape",
        )
    return array
