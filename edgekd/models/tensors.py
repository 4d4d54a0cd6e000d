"""Reading and writing named tensors as safetensors, with errors that a user understands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from edgekd.errors import StageError
from edgekd.store import write_atomic

PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}
CONVERSION = (
    "convert it once, where you trust the file: "
    "import torch, safetensors.torch as s; "
    "s.save_file({{k: v.clone().contiguous() for k, v in "
    "torch.load('{name}', map_location='cpu', weights_only=True).items()}}, '{stem}.safetensors')"
)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors by name, atomically; shared ones are written once for each name."""
    from safetensors.torch import save

    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomic(path, save(own))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, on the CPU.

    Raises:
        StageError: there is no such file, it is a pickle, or it is broken.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix in PICKLES:
        raise StageError(
            "This file is a pickle, which can run any program while it is read; edgekd never "
            "opens one.",
            where=str(path),
            fix=CONVERSION.format(name=path.name, stem=path.stem),
        )
    if not path.is_file():
        raise StageError("There is no such weights file.", where=str(path))
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise StageError(
            "This is not a safetensors file, or not a whole one.", where=f"{path}: {error}"
        ) from error
