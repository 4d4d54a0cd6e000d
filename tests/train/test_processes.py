"""Several processes train as one: the same batches, losses, gradients and statistics."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from three_processes import CASES
from torch import Tensor, nn

from edgekd.errors import StageError
from edgekd.train import processes
from edgekd.train.batch_norm import refuse_hidden

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def of_three(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The results of all cases, made by three processes."""
    file = tmp_path_factory.mktemp("three") / "found.safetensors"
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("three_processes.py")), str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    return load_file(file)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_three_processes_give_the_weights_of_one(name, of_three):
    """Among them the running statistics, which torch's own batch normalisation made in one."""
    alone = CASES[name]()
    assert len(alone["history"]) == 2
    for key, value in alone.items():
        torch.testing.assert_close(of_three[f"{name}/{key}"], value, rtol=1e-4, atol=1e-5, msg=key)


def test_one_process_has_everything_and_waits_for_nobody():
    assert processes.part(7) == slice(0, 7)
    x = torch.randn(7, 3)
    assert processes.gathered(x, 7) is x
    processes.agree("anything")
    processes.only_first_goes_on()
    assert processes.of_first(0.1, 2.0) == [0.1, 2.0]
    assert processes.is_first()
    assert processes.first_to_tell()


@pytest.mark.parametrize("total", [1, 2, 3, 40, 101])
def test_slices_cover_a_batch_once_and_evenly(total, monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 3)
    found = []
    for rank in range(3):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        found.append(list(range(total))[processes.part(total)])
    assert [place for own in found for place in own] == list(range(total))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_batch_normalisation_that_cannot_be_synchronised_is_refused(monkeypatch):
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    graph = torch.export.export(network, (torch.zeros(2, 4),)).module()
    refuse_hidden(graph)  # one process may train it
    monkeypatch.setattr(processes, "count", lambda: 2)
    refuse_hidden(network)
    with pytest.raises(StageError, match="cannot be synchronised"):
        refuse_hidden(graph)
