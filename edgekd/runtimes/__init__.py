"""A deployed model, loaded and run in the runtime that it was made for.

    from edgekd.runtimes import load
    logits = load(Path("model.tflite")).run(spec.input.normalise(raw))

The code that runs it is the agent's, so that benchmarks on a device, the parity check and
`edgekd predict` all compute the same way.
"""

from __future__ import annotations

from edgekd.runtimes.base import Runtime
from edgekd.runtimes.loaded import load

__all__ = ["Runtime", "load"]
