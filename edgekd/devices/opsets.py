"""Which ONNX files an older ONNX Runtime can read."""

from __future__ import annotations

from edgekd.config.device import DeviceSettings
from edgekd.errors import ConfigError

OPSETS = {
    (1, 7): 12,
    (1, 8): 14,
    (1, 9): 15,
    (1, 10): 15,
    (1, 11): 16,
    (1, 12): 17,
    (1, 13): 17,
    (1, 14): 18,
    (1, 15): 19,
    (1, 16): 19,
    (1, 17): 20,
}
"""Newest version of ONNX's operators that a release knows; from "Versioning" and the compatibility
page of ONNX Runtime's documentation. Later releases read whatever edgekd writes."""
EXPORTED = 20
"""What edgekd's own files are written in, at most; a test holds it to the exporter."""


def newest_opset(version: str) -> int | None:
    """The newest operators that ONNX Runtime `version` knows; None where nothing is too new."""
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < min(OPSETS):
        return min(OPSETS.values())
    return OPSETS.get((major, minor))


def check_opset(opset: int, device: DeviceSettings, where: str) -> None:
    """Refuses a file that a device's ONNX Runtime cannot read.

    Raises:
        ConfigError: it is too new for what the profile says.
    """
    if device.onnxruntime is None:
        return
    newest = newest_opset(device.onnxruntime)
    if newest is None or opset <= newest:
        return
    raise ConfigError(
        f"ONNX Runtime {device.onnxruntime} reads operators up to version {newest}, and this file "
        f"is written in version {opset}.",
        where=f"device {device.name}; {where}",
        fix="install a newer ONNX Runtime there, and say so in its device file (onnxruntime), or "
        "measure only .tflite files on it (runtimes: [litert])",
    )
