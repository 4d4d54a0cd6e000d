"""Which number format the processor trains fastest in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]


def effective_precision(wanted: str) -> Precision:
    """`wanted` ("auto", "float32" or "bfloat16") on this machine.

    `auto` is bfloat16 where it is computed in hardware. Emulated bfloat16 would be slower than
    float32 and no better. Without a GPU this does not import torch: keys of artefacts depend on it,
    and a run that finds everything finished should not wait for that.
    """
    if wanted == "auto":
        return "bfloat16" if has_bfloat16() else "float32"
    return "bfloat16" if wanted == "bfloat16" else "float32"


@cache
def has_bfloat16() -> bool:
    """Whether the GPU, if there is one, or else the processor computes in bfloat16."""
    if Path("/dev/nvidiactl").exists():
        import torch

        if torch.cuda.is_available():
            return torch.cuda.is_bf16_supported(including_emulation=False)
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return False
    flags = cpuinfo.read_text(errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags or " bf16" in flags


def device() -> torch.device:
    """The GPU if torch sees one, else the processor."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
