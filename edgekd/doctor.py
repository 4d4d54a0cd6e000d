"""`edgekd doctor`: what is installed, what is missing, and the command that mends it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

FREE_DISK = 2e9
"""Bytes that a run over several seeds may want."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    optional: bool = False

    def __str__(self) -> str:
        mark = "ok  " if self.ok else ("--  " if self.optional else "MISS")
        line = f"{mark} {self.name:16} {self.found}"
        return line if self.ok or not self.fix else f"{line}\n       fix: {self.fix}"


def examine() -> Iterator[Check]:
    """Looks at Python, every library that edgekd needs, the processor and the disk."""
    from packaging.specifiers import SpecifierSet

    here = platform.python_version()
    supported = SpecifierSet(">=3.11,<3.14")
    yield Check("python", here in supported, here, f"install a Python {supported}")
    yield from _libraries()
    yield from _environments()
    yield from _hardware()


def examine_for_bench() -> Iterator[Check]:
    """Looks at what makes times on this machine doubtful."""
    from edgekd.bench.readiness import examine as findings

    for found in findings():
        yield Check(found.name, found.ok, found.found, found.fix, found.optional)


def _libraries() -> Iterator[Check]:
    from packaging.requirements import Requirement

    for text in requires("edgekd") or []:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        command = f'{sys.executable} -m pip install "{wanted.name}{wanted.specifier}"'
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            yield Check(wanted.name, False, "not installed", command)
            continue
        fits = wanted.specifier.contains(found, prereleases=True)
        note = "" if fits else f", and edgekd needs {wanted.specifier}"
        yield Check(wanted.name, fits, found + note, command)


def _environments() -> Iterator[Check]:
    from edgekd.environments.make import ENVIRONMENTS, made
    from edgekd.environments.web import WEB, made_web

    for name in ENVIRONMENTS:
        found = made(name)
        text = "not made; it is on first use" if found is None else f"Python {found['python']}"
        command = f"{sys.executable} -m edgekd.environments {name}"
        yield Check(name, found is not None, f"environment: {text}", command, optional=True)
    web = made_web()
    text = "not fetched; they are on first use, by npm" if web is None else "ONNX Runtime, LiteRT"
    command = f"{sys.executable} -m edgekd.environments {WEB}"
    yield Check(WEB, web is not None, f"for browsers: {text}", command, optional=True)


def _hardware() -> Iterator[Check]:
    from edgekd.devices.machine import describe_machine
    from edgekd.runtimes.saturation import saturating
    from edgekd.train.precision import has_bfloat16

    machine = describe_machine()
    yield Check("processor", True, f"{machine.processor}, {machine.cores} cores")
    yield Check(
        "bfloat16",
        has_bfloat16(),
        "trained in" if has_bfloat16() else "not in hardware: training is in float32, and slower",
        optional=True,
    )
    whole = not saturating(machine.instructions)
    yield Check(
        "int8",
        whole,
        "sums do not saturate"
        if whole
        else "no int8 dot product (VNNI): ONNX Runtime's int8 sums saturate unless asked for exact "
        "ones, as edgekd asks",
        "in apps set session.x64quantprecision to 1, or train with quantize.weight_bits: 7",
        optional=True,
    )
    free = shutil.disk_usage(Path.cwd()).free
    yield Check(
        "disk", free > FREE_DISK, f"{free / 1e9:.1f} GB free here", "free some, or use --runs"
    )
