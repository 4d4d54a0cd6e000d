"""One of two processes that train a student together, from the teacher's maps: see
test_hooks_outlast.py.

    python ddp_worker.py RANK FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from feature_nets import SPEC, Net
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from edgekd.config.methods import ATSettings, FitNetSettings
from edgekd.distill.losses import make_objective
from edgekd.distill.part import Pair
from edgekd.distill.taps import Taps
from edgekd.models.layer_names import find_layers
from edgekd.train.batches import Batch

WORLD = 2
METHOD = (FitNetSettings(layers="layer*"), ATSettings(layers="layer1", weight=10))


def networks() -> Pair:
    torch.manual_seed(0)
    return Pair(Net(4), Net(8).eval(), SPEC)


def batch(rank: int, step: int) -> Batch:
    generator = torch.Generator().manual_seed(10 * step + rank)
    x = torch.randn(6, 1, 8, 8, generator=generator)
    return Batch(x, torch.arange(6) % 3, torch.arange(6))


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def main(rank: int, folder: Path) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=WORLD
    )
    pair = networks()
    student = DistributedDataParallel(pair.student)
    objective = make_objective(METHOD, pair=pair)  # names of the bare network
    found = {}
    for step in range(2):
        shown = batch(rank, step)
        student.zero_grad()
        with objective.watching(student):
            loss, _ = objective(student(shown.x), shown, 0)
            loss.backward()
        found |= {f"{step}.{name}": g for name, g in gradients(pair.student).items()}
    assert find_layers(student, "layer1", "student") == ["module.layer1"]
    for net in (student, pair.student):  # with and without `module.`, either way round
        for name in ("layer1", "module.layer1"):
            with torch.no_grad(), Taps(net, [name]) as taps:
                net(shown.x)
                assert taps.take()[name].shape == (6, 4, 8, 8)
    wrapped = Pair(student, pair.teacher, SPEC)
    assert make_objective(METHOD, pair=wrapped).parts[0].student_layers == (
        "module.layer1",
        "module.layer2",
    )
    save_file(found, str(folder / f"{rank}.safetensors"))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
