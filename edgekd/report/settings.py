"""Settings of a sweep in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekd.store import canonical_json


def label(setting: Mapping[str, Any]) -> str:
    """A setting of plain values in a few words: the last part of each field, or more where that is
    not enough.
    """
    names = short_names(list(setting))
    return ", ".join(f"{names[field]} {shown(value)}" for field, value in setting.items())


def short_names(fields: list[str]) -> dict[str, str]:
    """The shortest ends of fields that tell them apart."""
    found = {}
    for field in fields:
        parts = field.split(".")
        others = [other.split(".") for other in fields if other != field]
        ends = [parts[-length:] for length in range(1, len(parts) + 1)]
        alone = [end for end in ends if not any(o[-len(end) :] == end for o in others)]
        found[field] = ".".join(alone[0] if alone else parts)
    return found


def shown(value: Any) -> str:
    """A value for a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else canonical_json(value)
