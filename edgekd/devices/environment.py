"""The Python environment of a device: numpy and the runtimes, made on first use."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from edgekd.devices import scripts, wheels
from edgekd.devices.answers import OVER, tail, took_too_long
from edgekd.errors import StageError

if TYPE_CHECKING:
    from edgekd.devices.remote import RemoteDevice

PACKAGES = {"onnxruntime": "onnxruntime", "litert": "ai-edge-litert"}
"""What pip calls a runtime."""
MODULES = {"onnxruntime": {"onnxruntime"}, "litert": {"ai_edge_litert", "tflite_runtime"}}
"""What Python calls it; any of them will do."""
INSTALLING = 1800.0
"""Seconds: a slow board writes some hundred MB on a slow card."""


def requirements(runtimes: tuple[str, ...]) -> list[str]:
    """What pip is to install, for a device that runs these."""
    return ["numpy", *(PACKAGES[runtime] for runtime in runtimes)]


def prepare(device: RemoteDevice, attached: str) -> str:
    """The path of a Python there that has numpy and the device's runtimes.

    The device's own, if it has them (a board's maker may have built them for its hardware);
    otherwise one of an environment in edgekd's folder, which pip fills from the internet, or, where
    that fails, with wheels that this machine downloads and sends.

    Args:
        attached: the path of `attached.py` there.

    Raises:
        StageError: it can be had in neither way, or there is no space.
    """
    facts, runtimes = device.facts, device.settings.runtimes
    python, found = str(facts["executable"]), set(facts["modules"])
    if "numpy" in found and all(MODULES[runtime] & found for runtime in runtimes):
        return python
    wanted = requirements(runtimes)
    told = json.dumps([wanted, facts["python"], python])
    key = hashlib.sha256(told.encode()).hexdigest()[:12]
    environment = str(device.folder / f"env-{key}")
    own = f"{environment}/bin/python"
    if device.do(scripts.READY, environment, known=(0, 1)).code == 0:
        return own
    start = (environment, python, attached, str(int(INSTALLING)))
    what = f"the Python environment on {device.name}"
    done = device.do(
        scripts.INSTALL, *start, *wanted, known=range(256), timeout=2 * INSTALLING, what=what
    )
    if done.code:
        _raise_if_hopeless(done.code, done.stderr, device, what)
        _send_wheels(device, start, wanted, what, done.stderr)
    return own


def _send_wheels(
    device: RemoteDevice, start: tuple[str, ...], wanted: list[str], what: str, online: str
) -> None:
    files = wheels.download(device.facts, wanted, device.name, online)
    sent = [path.rpartition("/")[2] for path in device.push_all(files)]
    pairs = [word for name, file in zip(sent, files, strict=True) for word in (name, file.name)]
    done = device.do(
        scripts.INSTALL_WHEELS,
        *(*start, str(device.folder / "files"), str(len(files)), *pairs, *wanted),
        known=range(256),
        timeout=2 * INSTALLING,
        what=what,
    )
    if done.code:
        _raise_if_hopeless(done.code, done.stderr, device, what)
        if done.code == scripts.NO_VENV:
            raise StageError(
                "The device's Python cannot make environments.",
                where=f"{device.name}\n{tail(done.stderr)}",
                fix="install its module venv there (Debian: apt install python3-venv)",
            )
        raise StageError(
            "The runtimes cannot be installed on the device.",
            where=f"{device.name}\n{tail(done.stderr)}",
            fix="see that its Python and system are supported by them, or leave a runtime out of "
            "the profile's field runtimes",
        )


def _raise_if_hopeless(code: int, stderr: str, device: RemoteDevice, what: str) -> None:
    if "No space left on device" in stderr or "Disk quota exceeded" in stderr:
        raise device.disk_full(f"{what}; about 400 MB are needed")
    if code == OVER:
        raise took_too_long(INSTALLING, what)
