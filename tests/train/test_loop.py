"""The training loop: it learns, it is deterministic, and a kill costs nothing but time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn import metrics as sk
from torch import nn

from edgekd.config.data import Augment
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.errors import StageError
from edgekd.progress import Epoch, Progress
from edgekd.spec import InputSpec
from edgekd.train.ema import Ema
from edgekd.train.evaluate import accuracy, confusion_matrix, predict_logits
from edgekd.train.history import History
from edgekd.train.labels import Labels, LabelsOnly
from edgekd.train.loop import classifier_parameters, fit

SPEC = InputSpec(kind="image", shape=(1, 6, 6), mean=(0.0,), std=(1.0,))


def samples(n: int, seed: int) -> Split:
    """Bright upper or lower half: a network that learns at all tells them apart."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.normal(0, 0.5, (n, 1, 6, 6)).astype(np.float32)
    x[y == 1, :, :3] += 1
    return Split(x, y.astype(np.int64))


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(64, 2),
    )  # fmt: skip


def train(model: nn.Module, settings: TrainSettings, seed: int = 0, **options) -> History:
    return fit(
        model, samples(96, 1), samples(64, 2), SPEC, settings, LabelsOnly(Labels()), seed=seed,
        **options,
    )  # fmt: skip


def vectors(n: int, seed: int, task: str) -> Split:
    """Targets that a linear network with batch normalisation can learn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    y = x @ np.random.default_rng(99).normal(size=(6, 3)) / 2
    return Split(x, ((y > 0) if task == "multilabel" else y).astype(np.float32))


@pytest.mark.parametrize(("task", "metric"), [("multilabel", "macro_f1"), ("regression", "r2")])
def test_other_tasks_are_learnt_and_judged_by_their_score(task, metric):
    told: list[tuple[str, float]] = []

    class Watch(Progress):
        def epoch(self, epoch: Epoch) -> None:
            told.append((epoch.metric, epoch.score))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    spec = InputSpec(kind="row", shape=(6,), mean=(0.0,) * 6, std=(1.0,) * 6)
    validation = vectors(100, 2, task)
    history = fit(
        model, vectors(300, 1, task), validation, spec,
        TrainSettings(epochs=30, batch_size=32, learning_rate=0.02, precision="float32"),
        LabelsOnly(Labels(task)), seed=0, task=task, progress=Watch(),
    )  # fmt: skip
    outputs = predict_logits(model, validation, spec).numpy()
    score = (
        sk.f1_score(validation.y, outputs > 0, average="macro")
        if task == "multilabel"
        else sk.r2_score(validation.y, outputs)
    )
    assert score > 0.9
    best = max(history.epochs, key=lambda e: (e.validation_accuracy, -e.validation_loss))
    assert best.epoch == history.best_epoch
    assert best.validation_accuracy == pytest.approx(score, abs=1e-5)
    assert [name for name, _ in told] == [metric] * 30
    assert told[-1][1] == history.epochs[-1].validation_accuracy


def same(a: nn.Module, b: nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


QUICK = TrainSettings(epochs=6, batch_size=32, precision="float32")
VARIANTS = {
    "adamw": QUICK,
    "sgd": QUICK.model_copy(update={"optimizer": "sgd", "learning_rate": 0.05}),
    "ema": QUICK.model_copy(update={"ema": 0.9}),
    "one_cycle": QUICK.model_copy(update={"schedule": "one_cycle"}),
    "frozen": QUICK.model_copy(update={"freeze_epochs": 2, "backbone_rate": 0.1}),
}


@pytest.mark.parametrize("name", ["adamw", "sgd", "ema", "one_cycle"])
def test_it_learns(name):
    model = network()
    history = train(model, VARIANTS[name].model_copy(update={"epochs": 15, "learning_rate": 0.02}))
    test = samples(200, 3)
    found = accuracy(predict_logits(model, test, SPEC), test.y, runtime="torch", split="test")
    assert found.value > 0.9
    assert found.low < found.value <= found.high
    assert history.epochs[-1].loss < history.epochs[0].loss


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_seed_gives_the_same_bits(name):
    first, second, other = network(), network(), network()
    train(first, VARIANTS[name], augment=Augment(shift=1))
    train(second, VARIANTS[name], augment=Augment(shift=1))
    train(other, VARIANTS[name], seed=1, augment=Augment(shift=1))
    assert same(first, second)
    assert not same(first, other)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_training_that_was_stopped_ends_at_the_same_bits(name, killed_after, tmp_path):
    whole, stopped, resumed = network(), network(), network(seed=9)
    expected = train(whole, VARIANTS[name])

    class Killed(Exception):
        pass

    def kill(epoch: int, _: nn.Module) -> None:
        if epoch == killed_after:
            raise Killed

    with pytest.raises(Killed):
        train(stopped, VARIANTS[name], checkpoint=tmp_path, on_epoch=kill)
    history = train(resumed, VARIANTS[name], checkpoint=tmp_path)
    assert same(whole, resumed)
    assert [e.validation_accuracy for e in history.epochs] == [
        e.validation_accuracy for e in expected.epochs
    ]
    assert history.best_epoch == expected.best_epoch


def test_kill_9_in_the_middle_of_writing_leaves_a_whole_checkpoint(tmp_path):
    program = (
        "import sys\nsys.path.insert(0, sys.argv[2])\nfrom pathlib import Path\n"
        "from test_loop import *\n"
        "train(network(), QUICK.model_copy(update={'epochs': 400}), checkpoint=Path(sys.argv[1]))\n"
    )
    here = str(Path(__file__).parent)
    settings = QUICK.model_copy(update={"epochs": 400})
    for wait in (0.0, 0.05, 0.11):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), here])
        written = tmp_path / "checkpoint.safetensors"
        before = written.stat().st_mtime_ns if written.exists() else 0
        deadline = time.monotonic() + 60
        while not written.exists() or written.stat().st_mtime_ns == before:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert load_file(written)
    whole, resumed = network(), network(seed=9)
    train(whole, settings)
    train(resumed, settings, checkpoint=tmp_path)
    assert same(whole, resumed)


def test_a_checkpoint_of_another_training_is_passed_over(tmp_path):
    train(network(), QUICK, checkpoint=tmp_path)
    fresh, other = network(), network()
    changed = QUICK.model_copy(update={"learning_rate": 0.01})
    train(fresh, changed)
    train(other, changed, checkpoint=tmp_path)
    assert same(fresh, other)


def test_a_training_cut_short_takes_over_the_checkpoint_of_the_long_one(tmp_path):
    class Impatient(Progress):
        def epoch(self, epoch: Epoch) -> None:
            if epoch.number == 3:
                raise TimeoutError

    with pytest.raises(TimeoutError):
        train(network(), QUICK, checkpoint=tmp_path, progress=Impatient())
    cut, again = network(), network(seed=9)
    short = QUICK.model_copy(update={"stop_after": 3})
    assert len(train(cut, short).epochs) == 3
    started: list[int] = []
    train(again, short, checkpoint=tmp_path, on_epoch=lambda epoch, _: started.append(epoch))
    assert not started
    assert same(cut, again)


def test_a_broken_checkpoint_is_passed_over(tmp_path):
    train(network(), QUICK, checkpoint=tmp_path)
    file = tmp_path / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    fresh, other = network(), network()
    train(fresh, QUICK)
    train(other, QUICK, checkpoint=tmp_path)
    assert same(fresh, other)


def test_the_best_epoch_is_kept_not_the_last():
    model = network()
    seen: list[dict[str, torch.Tensor]] = []

    def remember(_: int, current: nn.Module) -> None:
        seen.append({name: value.clone() for name, value in current.state_dict().items()})

    wild = QUICK.model_copy(update={"learning_rate": 1.0, "epochs": 8, "clip_norm": None})
    history = train(model, wild, on_epoch=remember)
    best = max(history.epochs, key=lambda e: (e.validation_accuracy, -e.validation_loss)).epoch
    assert history.best_epoch == best
    if best < len(seen):
        kept = model.state_dict()
        assert all(torch.equal(kept[name], seen[best][name]) for name in kept)


def test_patience_stops_early():
    settings = QUICK.model_copy(update={"epochs": 60, "patience": 3, "learning_rate": 0.02})
    history = train(network(), settings)
    assert len(history.epochs) == history.best_epoch + 3 < 60


def test_frozen_backbone_stands_still_with_its_statistics():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, QUICK.model_copy(update={"epochs": 1, "freeze_epochs": 1}))
    after = model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"5.weight", "5.bias"}


def test_a_loss_that_is_not_finite_says_where_and_what_to_do():
    bad = samples(96, 1)
    bad.x[5] = np.inf
    with pytest.raises(StageError, match="loss became") as caught:
        fit(network(), bad, samples(8, 2), SPEC, QUICK, LabelsOnly(Labels()), seed=0)
    assert "epoch 1, step" in caught.value.where
    assert "learning_rate" in caught.value.fix


def test_ema_is_the_hand_formula():
    model = nn.Linear(1, 1, bias=False)
    ema = Ema(model, 0.5)
    expected = model.weight.item()
    for step, value in enumerate([1.0, 3.0, -2.0], start=1):
        with torch.no_grad():
            model.weight.fill_(value)
        ema.update(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert float(ema.state["weight"]) == pytest.approx(expected)


def test_the_classifier_is_found():
    assert classifier_parameters(network()) == {"5.weight", "5.bias"}
    convolutions = nn.Sequential(nn.Conv2d(1, 2, 3))
    assert classifier_parameters(convolutions) == {"0.weight", "0.bias"}


def test_confusion_matrix_is_sklearns():
    from sklearn.metrics import confusion_matrix as reference

    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 50)
    logits = torch.from_numpy(rng.normal(size=(50, 4)))
    expected = reference(y, logits.argmax(1).numpy(), labels=range(4))
    assert (confusion_matrix(logits, y, 4) == expected).all()


def test_a_history_reads_back(tmp_path):
    history = train(network(), QUICK)
    history.save(tmp_path)
    assert History.load(tmp_path) == history
