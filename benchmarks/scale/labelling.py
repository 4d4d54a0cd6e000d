"""Makes the soft labels of a finished run again, in one process or by torchrun in several, and
prints the seconds of each time as JSON: what `benchmarks.scale.processes` measures.

    python -m benchmarks.scale.labelling runs/scale --rounds 3

Loading torch, the data and the teacher is left out, and so is a first time with few samples.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from torch import nn

from edgekd import workers
from edgekd.config.data import Augment
from edgekd.data.dataset import Dataset, load
from edgekd.distill.softlabels import make_soft_labels
from edgekd.stages.networks import saved_network
from edgekd.train import processes


def main() -> None:
    """Labels, and prints in the first process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with a teacher that is finished")
    parser.add_argument("--views", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    first = not (workers.launched() and processes.start())
    data = load(next(chosen.run.glob("data-*")))
    teacher = saved_network(next(chosen.run.glob("teacher-*")), chosen.run).model
    label(teacher, data, 2)
    seconds = [label(teacher, data, chosen.views) for _ in range(chosen.rounds)]
    if first:
        print(json.dumps(seconds))


def label(teacher: nn.Module, data: Dataset, views: int) -> float:
    """Seconds from where all processes are ready to where the cache is whole."""
    shared: Any = processes.shared() if processes.several() else nullcontext()
    with tempfile.TemporaryDirectory() as folder, suppress(processes.NotFirst), shared:
        processes.agree("labelling")
        started = time.perf_counter()
        augment = Augment(shift=1, views=views)
        make_soft_labels(
            teacher, data.taught, data.spec, augment, 0, data.fingerprint, Path(folder)
        )
        return time.perf_counter() - started
    return 0.0


if __name__ == "__main__":
    main()
