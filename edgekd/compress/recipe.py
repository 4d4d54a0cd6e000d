"""How a network is quantized: what is chosen once, saved beside the state, and prepared again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["qat", "ptq"]
Ranges = Literal["min_max", "moving_average", "mse", "percentile", "learned"]

USUAL_RANGES: dict[Mode, Ranges] = {"qat": "moving_average", "ptq": "mse"}


@dataclass(frozen=True)
class Recipe:
    """The choices of `prepare_qat` and `prepare_ptq`.

    mode: `qat` trains through fake quantizers, `ptq` only calibrates.
    ranges: what finds the range of an activation.
    weight_bits: 8, or 7, with which x86-64 processors without VNNI cannot saturate.
    keep_float: layers that stay float: names of modules, each with all that is in it, or of nodes
        of the exported graph; `*` stands for anything.
    """

    mode: Mode
    ranges: Ranges
    weight_bits: int = 8
    keep_float: tuple[str, ...] = ()
