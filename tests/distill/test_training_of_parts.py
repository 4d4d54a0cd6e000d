"""What a method learns itself: trained beside the student, in the checkpoint, never in the file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feature_nets import SPEC, Net, pair
from safetensors.torch import load_file
from torch import nn

from edgekd.config.methods import ATSettings, CTKDSettings, FitNetSettings, VIDSettings
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.distill.losses import make_objective
from edgekd.distill.part import Pair
from edgekd.train.history import History
from edgekd.train.loop import fit

METHOD = (
    CTKDSettings(reversal_epochs=2),
    FitNetSettings(weight=1),
    ATSettings(weight=10, layers="layer*"),
    VIDSettings(layers="layer1"),
)
SETTINGS = TrainSettings(epochs=4, batch_size=16, precision="float32", ema=0.9, learning_rate=0.01)


class Killed(Exception):
    pass


def samples(n: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.normal(0, 0.5, (n, 1, 8, 8)).astype(np.float32)
    x[np.arange(n), 0, 2 * y] += 1
    return Split(x, y.astype(np.int64))


def train(networks: Pair, **options) -> tuple[History, dict[str, torch.Tensor]]:
    """The history, and what the methods learnt."""
    train_split = samples(64, 1)
    with torch.no_grad():
        answers = networks.teacher(torch.from_numpy(train_split.x))[None]
    objective = make_objective(METHOD, pair=networks)
    history = fit(
        networks.student, train_split, samples(32, 2), SPEC, SETTINGS, objective, seed=0,
        teacher_logits=answers, **options,
    )  # fmt: skip
    return history, objective.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_parts_learn_and_the_teacher_stays_as_it_is():
    networks = pair()
    teacher = {name: value.clone() for name, value in networks.teacher.state_dict().items()}
    before = make_objective(METHOD, pair=networks).state_dict()
    history, after = train(networks)
    assert list(history.epochs[-1].parts) == ["ce", "ctkd", "fitnet", "at", "vid"]
    assert all(not torch.equal(before[n], after[n]) for n in before if "num_batches" not in n)
    assert same(teacher, networks.teacher.state_dict())
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert networks.student.state_dict().keys() == Net(4).state_dict().keys()
    hooks = [m for n in (networks.student, networks.teacher) for m in n.modules()]
    assert not any(module._forward_hooks for module in hooks)


@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_stopped_training_with_parts_that_learn_ends_at_the_same_bits(killed_after, tmp_path):
    def kill(epoch: int, _: nn.Module) -> None:
        if epoch == killed_after:
            raise Killed

    whole, stopped, resumed = pair(), pair(), pair()
    expected, learnt = train(whole)
    with pytest.raises(Killed):
        train(stopped, checkpoint=tmp_path, on_epoch=kill)
    names = load_file(tmp_path / "checkpoint.safetensors").keys()
    assert any(name.startswith("objective.parts.1.regressors.") for name in names)
    assert not any("regressors" in name for name in names if name.startswith(("model", "best")))
    history, again = train(resumed, checkpoint=tmp_path)
    assert same(whole.student.state_dict(), resumed.student.state_dict())
    assert same(learnt, again)
    assert [e.parts for e in history.epochs] == [e.parts for e in expected.epochs]
