"""Structured pruning, the edge quantizer, QAT and PTQ."""

from __future__ import annotations

import logging

# On import they warn about optional GPU kernels and about each other's deprecations.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
