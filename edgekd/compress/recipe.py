"""How a network is quantized: what is chosen once, saved beside the state, and prepared again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["qat", "ptq"]


@dataclass(frozen=True)
class Recipe:
    """The choices of `prepare_qat` and `prepare_ptq`.

    mode: `qat` trains through fake quantizers, `ptq` only calibrates.
    keep_float: layers that stay float: names of modules, each with all that is in it, or of nodes
        of the exported graph; `*` stands for anything.
    """

    mode: Mode
    keep_float: tuple[str, ...] = ()
