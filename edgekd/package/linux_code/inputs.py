"""What an app gives, as raw samples: arrays by the name of the model's input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .arithmetic import log_mel, picture

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""Texts that stand for no value, in lower case."""
Raw = dict  # of names to arrays (*shape)


def is_table(inputs: list[dict[str, Any]]) -> bool:
    """Whether a sample is a row of named columns."""
    return any(part["columns"] and part["kind"] in ("row", "codes") for part in inputs)


def raw_of(given: Any, inputs: list[dict[str, Any]]) -> Raw:
    """A sample as the app has it.

    - a picture: pixels uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), of any size
    - a recording: (N,) float within -1..1 or int16, at the model's rate
    - a table's row: a mapping from columns to numbers and texts
    - anything else: numbers (*shape); of several inputs, a mapping from their names

    Raises:
        ValueError: it is no such thing; says what the model takes.
    """
    if is_table(inputs):
        return _row(given, inputs)
    if len(inputs) > 1:
        _check(isinstance(given, Mapping), f"give a mapping of {[p['name'] for p in inputs]}")
        missing = [part["name"] for part in inputs if part["name"] not in given]
        _check(not missing, f"the input {missing[:1]} is missing")
        return {part["name"]: _numbers(given[part["name"]], part) for part in inputs}
    (told,) = inputs
    if told["sound"] is not None:
        return {told["name"]: log_mel(_recording(given), told)}
    if told["kind"] == "image" and told["peak"] is not None:
        return {told["name"]: picture(_pixels(given), told)}
    return {told["name"]: _numbers(given, told)}


def _pixels(given: Any) -> np.ndarray:
    pixels = np.asarray(given)
    _check(pixels.dtype == np.uint8, f"pixels are uint8, 0 to 255, and these are {pixels.dtype}")
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    _check(
        fits and pixels.size > 0, f"a picture is (H, W) or (H, W, C), and this is {pixels.shape}"
    )
    return pixels


def _recording(given: Any) -> np.ndarray:
    samples = np.asarray(given)
    _check(samples.ndim == 1 and samples.size > 0, f"samples are (N,), and these {samples.shape}")
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768)
    _check(samples.dtype.kind == "f", f"samples are float or int16, and these {samples.dtype}")
    _check(bool(np.isfinite(samples).all()), "a sample is not finite")
    return samples.astype(np.float32)


def _numbers(given: Any, told: dict[str, Any]) -> np.ndarray:
    values, shape = np.asarray(given), tuple(told["shape"])
    _check(values.dtype.kind in "fiub", f"{told['name']}: {values.dtype} are no numbers")
    _check(values.shape == shape, f"{told['name']}: the shape is {shape}, and this {values.shape}")
    if told["kind"] == "codes":
        return values.astype(np.int32)
    small = values.astype(np.float32)
    _check(bool(np.isfinite(small).all()), f"{told['name']}: a value is not finite")
    return small


def _row(given: Any, inputs: list[dict[str, Any]]) -> Raw:
    columns = [column for part in inputs for column in part["columns"]]
    _check(isinstance(given, Mapping), f"a row is a mapping with the columns {columns}")
    missing = [column for column in columns if column not in given]
    _check(not missing, f"the row has no column {missing[:1]}; give None where a value is missing")
    raw = {}
    for part in inputs:
        if part["kind"] == "codes":
            pairs = zip(part["columns"], part["vocabulary"])  # noqa: B905
            raw[part["name"]] = np.array(
                [_code(given[name], words, name) for name, words in pairs], np.int32
            )
        else:
            pairs = zip(part["columns"], part["mean"])  # noqa: B905
            numbers = [_number(given[name], mean, name) for name, mean in pairs]
            raw[part["name"]] = np.array(numbers, np.float64).astype(np.float32)
    return raw


def _number(value: Any, mean: float, column: str) -> float:
    """A number, or the mean of the training rows where it is missing."""
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return mean
    plain = isinstance(value, (int, float, np.integer, np.floating))
    _check(plain and not isinstance(value, bool), f"{column} is a number, not {value!r}")
    if value != value:  # NaN  # noqa: PLR0124
        return mean
    _check(abs(float(value)) <= float(np.finfo(np.float32).max), f"{column} is not finite")
    return float(value)


def _code(value: Any, words: list[str], column: str) -> int:
    """A category's number from 1 on; 0 of one that the training rows lack, and of none."""
    if value is None:
        return 0
    plain = isinstance(value, (str, int, np.integer)) and not isinstance(value, bool)
    _check(plain, f"{column} is a text or a whole number, not {value!r}")
    text = str(value).strip()
    return words.index(text) + 1 if text in words else 0


def _check(right: bool, problem: str) -> None:
    if not right:
        raise ValueError(problem)
