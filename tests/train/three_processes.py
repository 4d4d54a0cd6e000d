"""What test_processes.py trains in one process, and in three: `three_processes.py FILE`.

Batches of 40 samples have slices of 13 and 14, the last one of 17 slices of 5 and 6; batches of two
leave one process with nothing at all.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edgekd.config.data import Augment
from edgekd.config.logit_methods import DISTSettings, KDSettings
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.distill.losses import make_objective
from edgekd.spec import InputSpec
from edgekd.train import processes
from edgekd.train.labels import Labels, LabelsOnly
from edgekd.train.loop import fit
from edgekd.train.objective import Distiller

SPEC = InputSpec(kind="image", shape=(1, 6, 6), mean=(0.0,), std=(1.0,))
VIEWS = 3
TWO = TrainSettings(
    epochs=2, batch_size=40, optimizer="sgd", learning_rate=0.02, warmup_epochs=0,
    precision="float32",
)  # fmt: skip
Network = Callable[[], nn.Module]


def images() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 8),
        nn.BatchNorm1d(8, affine=False), nn.ReLU(), nn.Linear(8, 3),
    )  # fmt: skip


def samples(n: int, seed: int, unknown: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.normal(0, 0.5, (n, 1, 6, 6)).astype(np.float32)
    x += y[:, None, None, None] * np.linspace(-1, 1, 6, dtype=np.float32)
    y[:unknown] = -1
    return Split(x, y.astype(np.int64))


def trained(
    objective: Distiller,
    settings: TrainSettings = TWO,
    augment: Augment | None = None,
    n: int = 97,
    unknown: int = 0,
) -> dict[str, Tensor]:
    """A trained network's tensors, and its history's figures."""
    model = images()
    teacher = torch.randn(VIEWS, n, 3, generator=torch.Generator().manual_seed(1))
    history = fit(
        model, samples(n, 1, unknown), samples(50, 2), SPEC, settings, objective, seed=3,
        augment=augment, teacher_logits=teacher,
    )  # fmt: skip
    told = [[e.loss, e.validation_loss, e.validation_accuracy] for e in history.epochs]
    return {**model.state_dict(), "history": torch.tensor(told)}


CASES: dict[str, Callable[[], dict[str, Tensor]]] = {
    # DIST compares the samples of a batch with each other: a mean of slices' losses is another one.
    "dist": lambda: trained(make_objective(DISTSettings()), augment=Augment(shift=1, views=VIEWS)),
    "mixed": lambda: trained(
        make_objective(KDSettings(temperature=2)),
        TWO.model_copy(update={"ema": 0.9, "clip_norm": 0.5}),
        Augment(mixup=0.4, cutmix=1.0, views=VIEWS),
    ),
    "partly": lambda: trained(make_objective(KDSettings(), partly=True), unknown=30),
    "pairs": lambda: trained(
        LabelsOnly(Labels()), TWO.model_copy(update={"batch_size": 2, "learning_rate": 1e-3}), n=21
    ),
}


def main() -> None:
    """Three processes train; they are forked, so that torch is loaded once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "3"}
    for rank in (1, 2, 0):
        os.environ["RANK"] = str(rank)
        if rank == 0 or os.fork() == 0:
            train_all()
            return


def train_all() -> None:
    """Trains each case, and writes the results of the first process."""
    processes.start()
    found: dict[str, Tensor] = {}
    for name, case in CASES.items():
        with suppress(processes.NotFirst), processes.shared():
            found |= {f"{name}/{key}": value.contiguous() for key, value in case().items()}
    if found:
        save_file(found, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
