"""A run in several processes: killed, gone on with in another number of them, and failing once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edgekd import workers
from edgekd.config.load import load_pipeline
from edgekd.errors import ConfigError
from edgekd.pipeline import run
from edgekd.plan import make_plan
from edgekd.progress import Epoch, Progress
from edgekd.stages.base import Job
from edgekd.store import read_json

ROOT = Path(__file__).resolve().parents[1]
NETWORK = """
import os, signal
import torch
from torch import nn

class Student(nn.Module):
    '''Process 1 ends in its training step number END, by a signal or an error.'''

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10)
        )
        self.steps = 0

    def forward(self, x):
        self.steps += self.training and torch.is_grad_enabled()
        if os.environ.get("RANK") == "1" and self.steps == int(os.environ.get("END", -1)):
            if os.environ["BY"] == "error":
                raise ValueError("this host lacks memory")
            os.kill(os.getpid(), signal.SIGKILL)
        return self.layers(x)

def make(spec, classes):
    return Student()
"""
PIPELINE = """
name: two
data: {source: digits, augment: {shift: 1, views: 2}}
teacher:
  model: {name: mlp}
  train: &train
    {epochs: 3, batch_size: 200, optimizer: sgd, learning_rate: 1.0e-2, precision: float32}
student: {model: {python: "net.py:make"}}
distill: {method: {name: dist}, train: {<<: *train, epochs: 4}}
finetune: {train: {<<: *train, epochs: 4}}
"""
STEPS = 6
"""Of 1,077 samples in an epoch; the last batch has 77."""


class Stopped(Exception):
    """In the place of a kill."""


class Stops(Progress):
    """Ends the run after an epoch."""

    def __init__(self, after: int) -> None:
        self.after, self.seen = after, []

    def epoch(self, epoch: Epoch) -> None:
        self.seen.append(epoch.number)
        if epoch.number == self.after:
            raise Stopped


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "two.yaml").write_text(PIPELINE)
    return tmp_path / "two.yaml"


def launch(pipeline: Path, *launcher: str, until: str, **environment: str) -> Any:
    """Runs the pipeline in two processes."""
    command = [sys.executable, "-m", *launcher, "-m", "edgekd", "run", str(pipeline)]
    return subprocess.run(
        [*command, "--until", until, "--runs", str(pipeline.parent / "runs")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def told(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("edgekd: ")]


def artefact(runs: Path, stage: str) -> Path:
    (found,) = (runs / "two").glob(f"{stage}-*")
    return found


@pytest.mark.slow
def test_a_run_goes_on_in_another_number_of_processes(pipeline: Path):
    runs, alone = pipeline.parent / "runs", pipeline.parent / "alone"
    accelerate = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    options = ("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")
    killed = launch(
        pipeline, *accelerate, *options, until="distill", END=str(STEPS + 3), BY="signal"
    )
    assert killed.returncode != 0
    assert len(told(killed.stderr)) <= 1  # the launcher may end the other one before it tells
    assert artefact(runs, "softlabels").is_dir()
    assert not list((runs / "two").glob("distill-*"))

    one = Stops(after=2)
    with pytest.raises(Stopped):  # by one process, from the two's first epoch
        run(pipeline, until="distill", runs=runs, progress=one)
    assert one.seen == [2]

    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    failed = launch(pipeline, *torchrun, until="finetune", END=str(2 * STEPS + 3), BY="error")
    assert failed.returncode != 0
    assert told(failed.stderr) == ["edgekd: ValueError: this host lacks memory"]
    assert "teacher found finished" in failed.stdout
    assert failed.stdout.count("distill done") == 1
    assert not list((runs / "two").glob("finetune-*"))

    run(pipeline, until="distill", runs=alone)
    for stage in ("teacher", "distill"):
        of_two, of_one = artefact(runs, stage), artefact(alone, stage)
        assert of_two.name == of_one.name  # the key knows nothing of processes
        manifests = [read_json(folder / "manifest.json") for folder in (of_two, of_one)]
        assert [manifest["processes"] for manifest in manifests] == [2, 1]
        weights = [load_file(folder / "model.safetensors") for folder in (of_two, of_one)]
        torch.testing.assert_close(*weights, rtol=0, atol=1e-4)
    labels = [np.load(artefact(r, "softlabels") / "logits.npy") for r in (runs, alone)]
    np.testing.assert_allclose(*labels, rtol=0, atol=2e-3)  # float16 of about 1


def reason(pipeline: str, tmp_path: Path, stage: str, *overrides: str) -> str | None:
    """Why a stage of a shipped pipeline is made by one process."""
    settings, base = load_pipeline(pipeline, overrides)
    node = next(each for each in make_plan(settings, base) if each.name == stage)
    inputs = dict.fromkeys(node.inputs, tmp_path)
    job = Job(node.settings, inputs, tmp_path, node.name, node.seed, base, Progress())
    return workers._alone(job)


def test_what_one_process_has_to_make_says_why(tmp_path: Path):
    assert reason("digits", tmp_path, "teacher") is None
    assert reason("digits", tmp_path, "softlabels") is None
    assert reason("digits", tmp_path, "distill") is None
    assert reason("digits", tmp_path, "prune") is None
    assert reason("digits", tmp_path, "export") == ""
    assert "one graph" in str(reason("digits", tmp_path, "quantize"))
    assert reason("digits", tmp_path, "quantize", "quantize.mode=ptq") == ""
    at = "distill.method={name: at}"
    assert "feature maps" in str(reason("digits", tmp_path, "distill", at))
    mutual = "distill.method=[{name: kd}, {name: mutual}]"
    assert "several networks" in str(reason("digits", tmp_path, "distill", mutual))


def test_without_a_launcher_nothing_is_shared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not workers.launched()
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    assert not workers.launched()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert workers.launched()


def test_only_runs_and_labels_are_for_several_processes(monkeypatch: pytest.MonkeyPatch):
    from edgekd.train import processes

    ended: list[bool] = []
    monkeypatch.setattr(processes, "start", lambda: 0)
    monkeypatch.setattr(processes, "end", lambda: ended.append(True))
    with pytest.raises(ConfigError, match="edgekd sweep does not run in several processes"):
        workers.together(["sweep", "a.yaml"], lambda: pytest.fail("it was started"))
    assert ended == [True]  # the others are let go
