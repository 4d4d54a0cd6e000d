"""Numbers with units, as people write them in a budget: `40 kB`, `2 ms`, `97 %`, `0.5 points`.

Each quantity is a pydantic type that holds a plain number in one base unit: bytes, microseconds,
or a fraction between 0 and 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_NUMBER_AND_UNIT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([^\s0-9]*)\s*")

BYTES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2}
MICROSECONDS = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}
FRACTION = {"%": 0.01, "points": 0.01, "point": 0.01}


def parse_quantity(value: object, units: Mapping[str, float], example: str) -> float:
    """Reads `value` ("40 kB", or a bare number already in the base unit) into the base unit.

    Raises:
        ValueError: `value` is no positive finite number with one of `units`.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        number, factor = float(value), 1.0
    else:
        match = _NUMBER_AND_UNIT.fullmatch(str(value))
        if match is None:
            raise ValueError(f"{value!r} is not a number with a unit, such as {example}")
        if match[2] not in units:
            known = ", ".join(units)
            raise ValueError(f"{value!r} needs one of the units {known}, such as {example}")
        number, factor = float(match[1]), units[match[2]]
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{value!r} must be a finite number of 0 or more")
    return number * factor


def _bytes(value: object) -> int:
    return round(parse_quantity(value, BYTES, "40 kB"))


def _microseconds(value: object) -> float:
    return parse_quantity(value, MICROSECONDS, "2 ms")


def _fraction(value: object) -> float:
    return parse_quantity(value, FRACTION, "97 %")


JSON_INPUT: Any = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}

Bytes = Annotated[int, BeforeValidator(_bytes), Field(json_schema_extra=JSON_INPUT)]
"""A size in bytes, written `40 kB` (1000), `40 KiB` (1024), `1 MB` or as a number of bytes."""

Microseconds = Annotated[float, BeforeValidator(_microseconds), Field(json_schema_extra=JSON_INPUT)]
"""A time in microseconds, written `800 us`, `2 ms` or as a number of microseconds."""

Fraction = Annotated[float, BeforeValidator(_fraction), Field(le=1, json_schema_extra=JSON_INPUT)]
"""A share between 0 and 1, written `97 %`, `0.5 points` or `0.97`."""
