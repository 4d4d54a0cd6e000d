"""Time by operator, from a process of its own: the runtime's profiler costs time itself."""

from __future__ import annotations

from typing import Any

from edgekd.config.device import DeviceSettings
from edgekd.devices import Device
from edgekd.devices.local import AGENT
from edgekd.errors import StageError
from edgekd.results import OperatorFigures

LITERTS = AGENT.with_name("litert_profile.py")
"""What the agent needs for LiteRT's profiler."""
PATIENCE = 120.0
"""Seconds that a profile may take."""


def profile(
    device: Device, described: DeviceSettings, job: dict[str, Any], form: str
) -> dict[str, Any]:
    """The fields `profile` and `profile_note` of a row.

    Args:
        job: the file, its threads and its inputs.
        form: the file's: onnx, ort or tflite.

    A profile that cannot be had is no failure of the measurement: the note says why.
    """
    if described.kind not in ("local", "ssh", "adb"):
        return {"profile_note": "a browser's runtimes tell a page no times by operator"}
    wanted: dict[str, Any] = {**job, "profile": True}
    if form == "tflite" and device.scored:  # benchmark_model has a profiler of its own
        wanted["profiler"] = device.push(LITERTS)
    try:
        found = device.run(wanted, PATIENCE)
    except StageError as error:
        return {"profile_note": f"there is no profile: {error.what}"}
    operators = [OperatorFigures(**operator) for operator in found["profile"]]
    return {"profile": operators or None, "profile_note": found["profile_note"]}
