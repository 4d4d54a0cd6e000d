"""Making an environment from its pinned requirements, once, and finding it again.

ENVIRONMENTS/NAME-KEY/                 a virtual environment
ENVIRONMENTS/NAME-KEY/complete.json    written last: without it the folder is a remainder
ENVIRONMENTS/NAME-KEY.lock             held while it is made

A virtual environment knows its own path, so it cannot be made beside and renamed as an artefact
is: a marker that is written last says that it is whole. The key is that of the requirements and of
the Python, so another version of edgekd with the same pins finds the same environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.data.cache import cache_folder
from edgekd.errors import StageError
from edgekd.progress import SILENT, Progress
from edgekd.store import digest, locked, write_json

HERE = Path(__file__).resolve().parent
COMPLETE = "complete.json"
Version = tuple[int, int]


class EnvironmentMissing(StageError):
    """An environment cannot be made here."""


@dataclass(frozen=True)
class Wanted:
    """What an environment is made of."""

    name: str
    """Its requirements are NAME.txt beside this file: every package with its version."""
    pythons: tuple[Version, ...]
    """Versions of Python that all its wheels exist for, the best one first."""
    size: str
    """On the disk, in words."""
    system: str = ""
    """What it needs of the system beside Python."""

    @property
    def requirements(self) -> Path:
        """The file of pinned requirements."""
        return HERE / f"{self.name}.txt"


ENVIRONMENTS = {
    wanted.name: wanted
    for wanted in (
        Wanted("onnx2tf", ((3, 11),), "2.2 GB"),
        Wanted("tflite-support", ((3, 11), (3, 10)), "0.4 GB", "libusb-1.0-0 on Debian"),
    )
}


def environment(name: str, progress: Progress = SILENT) -> Path:
    """The Python of an environment, which is made if it is not there.

    Args:
        name: of `ENVIRONMENTS`.
        progress: is told that it is being made, or that another process makes it.

    Raises:
        EnvironmentMissing: there is no fitting Python, or its packages cannot be installed.
    """
    wanted = ENVIRONMENTS[name]
    folder = environments_folder() / f"{name}-{environment_key(name)}"
    python = folder / "bin" / "python"
    if _whole(folder, python):
        return python

    def waiting() -> None:
        progress.message(f"another process makes the environment of {name}: waiting for it")

    with locked(folder.with_name(f"{folder.name}.lock"), waiting):
        if not _whole(folder, python):
            progress.message(f"making the environment of {name}, once ({wanted.size}): {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            _make(wanted, folder, python)
    return python


def environment_key(name: str) -> str:
    """What tells one making of an environment from another: its pins, and the system."""
    pins = ENVIRONMENTS[name].requirements.read_bytes()
    return digest([hashlib.sha256(pins).hexdigest(), platform.system(), platform.machine()])


def scripts_key() -> str:
    """What the scripts that run in the environments say: no import leads to them."""
    files = sorted((HERE / "scripts").glob("*.py"))
    return digest([[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in files])


def environments_folder() -> Path:
    """Where they lie: $EDGEKD_ENVIRONMENTS, or `environments` in edgekd's cache folder."""
    own = os.environ.get("EDGEKD_ENVIRONMENTS")
    return Path(own).absolute() if own else cache_folder().absolute() / "environments"


def _whole(folder: Path, python: Path) -> bool:
    return (folder / COMPLETE).is_file() and python.exists()


def _make(wanted: Wanted, folder: Path, python: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _call(wanted, _venv_command(wanted, folder))
    pip = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    # All pins are in the file, so nothing is to be resolved; Python compiles what it imports.
    pinned = ["--no-deps", "--no-compile", "--requirement", str(wanted.requirements)]
    _call(wanted, [*pip, "--quiet", "--only-binary=:all:", *pinned])
    version = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"],
        capture_output=True,
        text=True,
        check=True,
    )
    write_json(folder / COMPLETE, {"name": wanted.name, "python": version.stdout.strip()})


def _venv_command(wanted: Wanted, folder: Path) -> list[str]:
    """What makes an empty environment: a fitting Python of this machine, or uv, which gets one.

    Raises:
        EnvironmentMissing: there is neither.
    """
    for version in wanted.pythons:
        found = _python(version)
        if found is not None:
            return [found, "-m", "venv", str(folder)]
    best = ".".join(map(str, wanted.pythons[0]))
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "venv", "--quiet", "--seed", "--python", best, str(folder)]
    several = " or ".join(".".join(map(str, version)) for version in wanted.pythons)
    raise EnvironmentMissing(
        f"The environment of {wanted.name} needs Python {several}, and there is none here.",
        where=f"this is Python {platform.python_version()}",
        fix=f"install Python {best}, or uv (pip install uv), which gets one",
    )


def _python(version: Version) -> str | None:
    """A Python of this version that runs: this one, or one of the search path."""
    if sys.version_info[:2] == version:
        return sys.executable
    found = shutil.which("python{}.{}".format(*version))
    if found is None:
        return None
    asked = [found, "-c", "import ensurepip, sys; print(*sys.version_info[:2])"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if told.stdout.split() == [str(part) for part in version] else None


def _call(wanted: Wanted, command: Sequence[str]) -> None:
    """Runs a step of the making.

    Raises:
        EnvironmentMissing: it failed.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said, failed = done.stderr + done.stdout, done.returncode != 0
    except OSError as error:
        said, failed = str(error), True
    if not failed:
        return
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    raise EnvironmentMissing(
        f"The environment of {wanted.name} cannot be made.",
        where=(errors or lines or ["no reason was given"])[-1][:400],
        fix="look at the network (pip must reach a package index), the free disk "
        f"({wanted.size}), and {environments_folder()}",
    )


def made(name: str) -> dict[str, str] | None:
    """What is known of a finished environment, or None: `name`, `python` (its version)."""
    folder = environments_folder() / f"{name}-{environment_key(name)}"
    if not _whole(folder, folder / "bin" / "python"):
        return None
    found: dict[str, str] = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
    return found
