"""What a registry calls its models: names, versions, and NAME@VERSION."""

from __future__ import annotations

import re
from collections.abc import Iterable

from edgekd.errors import ConfigError
from edgekd.package.naming import VERSION, check_version

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
LATEST = "latest"
FIRST = "0.1.0"


def check_name(text: str, where: str) -> str:
    """`text`, if a model can be called so: it becomes the name of a folder.

    Raises:
        ConfigError: it cannot.
    """
    if not NAME.fullmatch(text):
        raise ConfigError(
            f"{text!r} is no name that a registry can have.",
            where=where,
            fix="take lower case letters, digits, dots and dashes, such as digits-classifier",
        )
    return text


def parse(text: str) -> tuple[str, str]:
    """The name and the version of NAME@VERSION; the version may be "latest".

    Raises:
        ConfigError: it is not of this form.
    """
    name, at, version = text.partition("@")
    if not at:
        raise ConfigError(
            f"{text!r} does not say which version.",
            where="NAME@VERSION",
            fix=f"write {text}@{LATEST}, or the version that you want",
        )
    check_name(name, "NAME@VERSION")
    return name, version if version == LATEST else check_version(version, "NAME@VERSION")


def in_order(versions: Iterable[str]) -> list[str]:
    """Versions from old to new, by number: 1.10.0 follows 1.9.0. What is none is left out."""
    return sorted((v for v in versions if VERSION.fullmatch(v)), key=numbers)


def numbers(version: str) -> tuple[int, ...]:
    """MAJOR, MINOR, PATCH."""
    return tuple(map(int, version.split(".")))


def following(versions: Iterable[str]) -> str:
    """The next patch after the newest of them; 0.1.0 where there is none."""
    there = in_order(versions)
    if not there:
        return FIRST
    major, minor, patch = numbers(there[-1])
    return f"{major}.{minor}.{patch + 1}"
