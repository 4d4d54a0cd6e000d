"""Python environments of their own, for tools whose pinned versions do not go with edgekd's.

    python = environment("onnx2tf")          # made on first use, once for all runs
    run(python, "convert_with_onnx2tf.py", [source, target])

`python -m edgekd.environments` makes all of them ahead, as for a machine that will be offline.
"""

from __future__ import annotations

from edgekd.environments.make import (
    ENVIRONMENTS,
    EnvironmentMissing,
    environment,
    environment_key,
    scripts_key,
)
from edgekd.environments.script import run

__all__ = [
    "ENVIRONMENTS",
    "EnvironmentMissing",
    "environment",
    "environment_key",
    "run",
    "scripts_key",
]
