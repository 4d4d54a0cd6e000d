"""Packages for a device that cannot download them: pip on this machine fetches its wheels."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.data.cache import cache_folder
from edgekd.devices.answers import tail
from edgekd.errors import StageError

OLDEST_GLIBC = 17
"""Wheels of manylinux2014 and later: glibc 2.17."""


def platform_tags(facts: dict[str, Any]) -> list[str]:
    """The platform tags of wheels that run on a device, the newest first (PEP 600, PEP 425).

    Args:
        facts: as `scripts.FACTS` prints them.

    Returns:
        None at all for a system without glibc: there are no wheels of the runtimes for it.
    """
    machine = str(facts["machine"])
    if facts["bits"] == 32:
        machine = {"aarch64": "armv7l", "x86_64": "i686"}.get(machine, machine)
    libc, version = facts["libc"]
    if libc != "glibc":
        return []
    minor = int(version.split(".")[1])
    newer = [f"manylinux_2_{m}_{machine}" for m in range(minor, OLDEST_GLIBC - 1, -1)]
    return [*newer, f"manylinux2014_{machine}", f"linux_{machine}"]


def download(
    facts: dict[str, Any], wanted: Sequence[str], name: str, online: str = ""
) -> list[Path]:
    """Wheels of some packages, of all that they need, and first of pip, for a device.

    They are kept in this machine's cache, so that a second device of the kind asks for nothing.

    Args:
        name: the device's, for errors.
        online: what pip said on the device, for errors.

    Raises:
        StageError: pip does not find them.
    """
    tags = platform_tags(facts)
    version = ".".join(map(str, facts["python"][:2]))
    told = json.dumps([tags, version, list(wanted)]).encode()
    folder = cache_folder() / "wheels" / hashlib.sha256(told).hexdigest()[:16]
    if not folder.is_dir():
        if not tags:
            raise _missing(name, f"{facts['machine']}, no glibc\n{tail(online)}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            options = [word for tag in tags for word in ("--platform", tag)]
            options += ["--python-version", version, "--implementation", "cp"]
            said = pip("download", "--dest", f"{beside}/new", *options, "--", "pip", *wanted)
            if said is not None:
                place = f"Python {version}, {tags[0]}\n{tail(said)}"
                raise _missing(name, f"{place}\n  pip on the device said:\n{tail(online)}")
            if not folder.is_dir():  # another process may have been faster
                os.replace(f"{beside}/new", folder)
    files = sorted(folder.glob("*.whl"))
    return sorted(files, key=lambda file: not file.name.startswith("pip-"))


def pip(command: str, *options: str) -> str | None:
    """What pip says where it fails, None if it does not. Only wheels are taken: nothing is built.

    Raises:
        StageError: there is no pip beside edgekd.
    """
    start = [sys.executable, "-m", "pip"]
    if subprocess.run([*start, "--version"], capture_output=True, check=False).returncode:
        uv = shutil.which("uv")
        raise StageError(
            "There is no pip beside edgekd, which would fetch packages for the device.",
            where=sys.executable,
            fix="uv pip install pip" if uv else f"{sys.executable} -m ensurepip",
        )
    quiet = ["--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    done = subprocess.run(
        [*start, command, *quiet, *options], capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else done.stderr


def _missing(name: str, where: str) -> StageError:
    return StageError(
        "Packages for the device are not to be had.",
        where=f"{name}: {where}",
        fix="connect the device to the internet, use a newer Python there, or leave a runtime out "
        "of the profile's field runtimes",
    )
