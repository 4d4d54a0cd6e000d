"""The finished teacher for the stages after it: a network of torch, an .onnx file, or labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.stages.networks import saved_network
from edgekd.store import read_json

if TYPE_CHECKING:
    from torch import nn

FILE = "teacher.onnx"
"""The file of an .onnx teacher in its artefact, adapted to the data."""
FACTS = "teacher.json"
"""Its number of parameters."""
MEMBER = "checkpoint"
"""Before the numbers of the networks of a teacher that is several checkpoints."""
TRAIN_LOGITS = "train_logits.npy"
"""Answers (K, N, C) of a teacher that is a file of soft labels."""


@dataclass(frozen=True)
class Teacher:
    """What answers as the teacher, and how large it is."""

    model: nn.Module
    """From normalised samples (N, *shape) to logits (N, C), in evaluation mode. An .onnx teacher
    runs in ONNX Runtime inside and has no parameters of torch."""
    parameters: int
    """Of several checkpoints of one network, of each."""
    members: tuple[nn.Module, ...] = ()
    """The checkpoints, where there are several."""


def finished_teacher(folder: Path, base: Path) -> Teacher:
    """The teacher of a finished stage."""
    if is_file(folder):
        return Teacher(onnx_module(folder / FILE), int(read_json(folder / FACTS)["parameters"]))
    if checkpoints(folder):
        return averaged(folder, base)
    from edgekd.models.count import parameters

    model = saved_network(folder, base).model
    return Teacher(model, parameters(model))


def parameters_of(folder: Path, base: Path) -> int | None:
    """How large the teacher is; None of soft labels alone."""
    return None if is_labels(folder) else finished_teacher(folder, base).parameters


def checkpoints(folder: Path) -> list[Path]:
    """The saved networks of a teacher that is several checkpoints of one training, or none."""
    return sorted(folder.glob(f"{MEMBER}-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def averaged(folder: Path, base: Path) -> Teacher:
    """Several checkpoints as one teacher, whose logits are the mean of theirs: at any temperature
    the geometric mean of their probabilities.
    """
    import torch
    from torch import Tensor, nn

    from edgekd.models.count import parameters

    class Averaged(nn.Module):
        """(N, *shape) to (N, C)."""

        def __init__(self, members: list[nn.Module]) -> None:
            super().__init__()
            self.members = nn.ModuleList(members)

        def forward(self, *x: Tensor) -> Tensor:
            return torch.stack([member(*x).float() for member in self.members]).mean(0)

    members = [saved_network(path, base).model for path in checkpoints(folder)]
    return Teacher(Averaged(members).eval(), parameters(members[0]), tuple(members))


def is_file(folder: Path) -> bool:
    """Whether the teacher of this artefact is an .onnx file."""
    return (folder / FILE).is_file()


def is_labels(folder: Path) -> bool:
    """Whether the teacher of this artefact is a file of soft labels, without a network."""
    return (folder / TRAIN_LOGITS).is_file()


def onnx_module(path: Path) -> nn.Module:
    """An .onnx file of edgekd's form as a module, run by ONNX Runtime on all processors.

    Raises:
        EdgekdError: the file cannot be loaded.
    """
    import os

    import torch
    from torch import Tensor, nn

    from edgekd.runtimes import load

    runtime = load(path, threads=int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))

    class InRuntime(nn.Module):
        """(N, *shape) to (N, C), on the device of the samples."""

        def forward(self, x: Tensor) -> Tensor:
            answer = runtime.run(x.detach().float().cpu().contiguous().numpy())
            return torch.from_numpy(answer).to(x.device)

    return InRuntime().eval()
