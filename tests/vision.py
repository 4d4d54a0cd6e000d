"""timm and torchvision for the tests, beside the environment.

torchvision is compiled for one build of torch, and its operators do not load beside another (such
as a CPU build); it then does not import, although no network of it needs them. Here they are
declared without kernels, which is all that importing asks. The libraries lie in a folder of their
own: a torchvision that cannot be imported plainly would break transformers in every other process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.prefix) / "vision"
"""Where `make` puts both."""
OPERATORS = ("nms", "qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[Any] = []


def provide() -> None:
    """Makes torchvision and timm importable in this process, where they are installed."""
    if _declared or "torchvision" in sys.modules or not FOLDER.is_dir():
        return
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for operator in OPERATORS:
        library.define(f"{operator}{SIGNATURE}")
    _declared.append(library)  # an operator lives as long as its library
    sys.path.append(str(FOLDER))
