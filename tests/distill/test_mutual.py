"""Deep mutual learning against NumPy, and a cohort that is trained together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from feature_nets import SPEC, Net
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file
from scipy.special import expit, rel_entr, softmax
from torch import nn

from edgekd.config.load import validate
from edgekd.config.methods import (
    KDSettings,
    LabelsSettings,
    MutualSettings,
    after_training,
    needs_logits,
)
from edgekd.config.pipeline import Pipeline
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.distill.kd import kd_loss
from edgekd.distill.losses import make_objective
from edgekd.distill.mutual import mutual_losses
from edgekd.errors import ConfigError, StageError
from edgekd.plan import make_plan
from edgekd.train.batches import Batch
from edgekd.train.history import History
from edgekd.train.loop import fit

LOGITS = arrays(np.float64, (3, 5, 4), elements=st.floats(-50, 50))
SETTINGS = TrainSettings(epochs=3, batch_size=16, precision="float32", learning_rate=0.02)


def by_hand(z: np.ndarray, temperature: float) -> np.ndarray:
    """(K,): each network's mean divergence from the others, sample by sample."""
    p = softmax(z / temperature, axis=2)
    of_pairs = [[rel_entr(q, own).sum(1).mean() for q in p] for own in p]
    return temperature**2 * np.sum(of_pairs, axis=1) / (len(z) - 1)


@given(LOGITS, st.floats(0.5, 5))
def test_each_learns_the_mean_divergence_from_the_others(z: np.ndarray, temperature: float):
    found = mutual_losses([torch.from_numpy(one) for one in z], temperature)
    np.testing.assert_allclose([float(loss) for loss in found], by_hand(z, temperature), 1e-6, 1e-6)


def test_the_gradient_is_the_own_networks_alone():
    z = np.random.default_rng(0).normal(0, 2, (3, 5, 4))
    logits = [torch.from_numpy(one).requires_grad_() for one in z]
    for place, loss in enumerate(mutual_losses(logits, 2.0)):
        gradients = torch.autograd.grad(loss, logits, allow_unused=True)
        assert [g is not None for g in gradients] == [k == place for k in range(3)]
        for at in [(0, 0), (2, 3), (4, 1)]:
            step = np.zeros_like(z)
            step[place][at] = 1e-5
            slope = (by_hand(z + step, 2.0) - by_hand(z - step, 2.0))[place] / 2e-5
            assert gradients[place][at].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_equal_networks_have_nothing_to_learn_and_extremes_are_finite():
    z = torch.tensor([[1e4, -1e4, 0.0], [0.0, 3.0, 1.0]], dtype=torch.float64)
    assert [float(loss) for loss in mutual_losses([z, z])] == pytest.approx([0, 0], abs=1e-9)
    own = z.clone().requires_grad_()
    (loss, _) = mutual_losses([own, -z])
    (gradient,) = torch.autograd.grad(loss, own)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_of_several_labels_each_is_two_classes():
    z = np.random.default_rng(1).normal(0, 2, (2, 5, 3))
    p, q = expit(z)
    wanted = (rel_entr(q, p) + rel_entr(1 - q, 1 - p)).mean()
    found = mutual_losses([torch.from_numpy(one) for one in z], task="multilabel")[0]
    assert float(found) == pytest.approx(wanted, rel=1e-6)


def test_one_network_is_no_cohort():
    with pytest.raises(ValueError, match="two networks"):
        mutual_losses([torch.zeros(2, 3)])


def samples(n: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.normal(0, 0.5, (n, 1, 8, 8)).astype(np.float32)
    x[np.arange(n), 0, 2 * y] += 1
    return Split(x, y.astype(np.int64))


def networks() -> list[Net]:
    found = []
    for seed, width in enumerate((4, 4, 8)):
        torch.manual_seed(seed)
        found.append(Net(width))
    return found


def train(cohort: list[Net], **more: Any) -> tuple[History, nn.Module]:
    objective = make_objective(MutualSettings(), peers=cohort[1:])
    history = fit(
        cohort[0], samples(64, 1), samples(32, 2), SPEC, SETTINGS, objective, seed=0, **more
    )
    return history, objective


def test_a_step_is_each_networks_own_cross_entropy_and_divergence():
    """The gradients of all networks, from losses that are written out."""
    cohort = networks()
    data = samples(16, 3)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    objective = make_objective(
        MutualSettings(weight=0.5, ce_weight=2.0, temperature=3.0), peers=cohort[1:]
    )
    loss, named = objective(cohort[0](x), Batch(x, y, torch.arange(16)), 0)
    loss.backward()
    again = networks()
    logits = [net(x) for net in again]
    for place, own in enumerate(logits):
        total = 2 * nn.functional.cross_entropy(own, y)
        for k, other in enumerate(logits):
            if k != place:
                p, q = (other.detach() / 3).softmax(1), (own / 3).log_softmax(1)
                total = total + 0.5 * 9 * (p * (p.log() - q)).sum(1).mean() / 2
        total.backward()
        for mine, theirs in zip(cohort[place].parameters(), again[place].parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6)
        if place == 0:  # what is told is the student's loss alone
            assert loss.item() == pytest.approx(total.item(), rel=1e-5)
    assert list(named) == ["ce", "mutual"]


def test_beside_a_teacher_the_peers_learn_the_labels_with_their_own_weight():
    """The student's is that of the first method."""
    cohort, again = networks()[:2], networks()[:2]
    data = samples(16, 3)
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    teacher = torch.randn(16, 3)
    objective = make_objective((KDSettings(), MutualSettings()), peers=cohort[1:])
    loss, _ = objective(cohort[0](x), Batch(x, y, torch.arange(16), teacher), 0)
    loss.backward()
    own, peer = (net(x) for net in again)
    to_peer, to_own = mutual_losses([own, peer])
    (nn.functional.cross_entropy(peer, y) + to_own).backward()
    expected = 0.1 * nn.functional.cross_entropy(own, y) + 0.9 * kd_loss(own, teacher) + to_peer
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for mine, theirs in zip(cohort, again, strict=True):
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)


def test_samples_without_labels_teach_the_cohort_by_its_answers():
    cohort = networks()[:2]
    data = samples(8, 3)
    x, y = torch.from_numpy(data.x), torch.full((8,), -1)
    objective = make_objective(MutualSettings(), partly=True, peers=cohort[1:])
    loss, named = objective(cohort[0](x), Batch(x, y, torch.arange(8)), 0)
    loss.backward()
    assert named["ce"] == 0 < named["mutual"]
    assert all(net.classifier.weight.grad.abs().sum() > 0 for net in cohort)


def test_all_of_a_cohort_are_trained_and_one_is_kept(tmp_path: Path):
    cohort, before = networks(), [net.state_dict() for net in networks()]
    history, _ = train(cohort, checkpoint=tmp_path)
    for net, old in zip(cohort, before, strict=True):
        assert not torch.equal(net.state_dict()["classifier.weight"], old["classifier.weight"])
    kept = load_file(tmp_path / "checkpoint.safetensors")
    assert any(name.startswith("objective.parts.0.peers.1.") for name in kept)
    assert not any("peers" in name for name in kept if name.startswith(("model", "best")))
    assert cohort[0].state_dict().keys() == before[0].keys()
    assert history.epochs[-1].parts["ce"] < history.epochs[0].parts["ce"]


def test_a_killed_cohort_goes_on_to_the_same_bits(tmp_path: Path):
    class Killed(Exception):
        pass

    def kill(epoch: int, _: nn.Module) -> None:
        if epoch == 2:
            raise Killed

    whole, stopped, resumed = networks(), networks(), networks()
    train(whole)
    with pytest.raises(Killed):
        train(stopped, checkpoint=tmp_path, on_epoch=kill)
    train(resumed, checkpoint=tmp_path)
    for a, b in zip(whole, resumed, strict=True):
        assert all(torch.equal(a.state_dict()[n], v) for n, v in b.state_dict().items())


def test_settings_in_short():
    student = Pipeline.model_validate({"name": "a", "student": "resnet8"}).student.model
    own = MutualSettings()
    assert own.networks(student) == (student,) and not needs_logits(own)
    two = MutualSettings.model_validate({"peers": ["resnet20 x 0.5", {"name": "mlp"}]})
    assert [(n.name, n.width) for n in two.networks(student)] == [("resnet20", 0.5), ("mlp", 1)]
    assert MutualSettings.model_validate({"peers": "mlp"}).networks(student)[0].name == "mlp"
    assert MutualSettings(peers=3).networks(student) == (student,) * 3


def test_later_stages_learn_without_the_cohort():
    assert after_training(MutualSettings()) == LabelsSettings()
    left = after_training((MutualSettings(ce_weight=0.7), KDSettings(weight=2.0)))
    assert left == (KDSettings(weight=2.0, ce_weight=0.7),)


def test_nothing_of_a_teacher_is_in_its_training(tmp_path: Path):
    raw = {"name": "a", "distill": "mutual", "student": "resnet8", "quantize": "qat"}
    nodes = {node.name: node for node in make_plan(Pipeline.model_validate(raw), tmp_path)}
    assert "softlabels" not in nodes and "softlabels" not in nodes["distill"].inputs
    assert "edgekd.distill.mutual" in nodes["distill"].outside["methods"]
    assert isinstance(nodes["quantize"].settings.method, LabelsSettings)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"finetune": "mutual"}, "mutual is for `distill`"),
        ({"distill": {"method": {"name": "mutual", "peers": 0}}}, "greater than 0"),
        ({"distill": {"method": {"name": "mutual", "peers": []}}}, "at least 1"),
        ({"distill": {"method": {"name": "mutual", "peers": "nonet"}}}, "peers"),
        ({"distill": {"method": {"name": "mutual", "temperature": 0}}}, "temperature"),
        ({"distill": {"method": "mutual", "generations": 2}}, "hands answers on"),
        (
            {"distill": "mutual", "student": {"copy_of": "teacher"}, "prune": True},
            "from scratch",
        ),
    ],
)
def test_what_does_not_go_together_is_told(more: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words):
        validate(Pipeline, {"name": "a", **more})


def test_numbers_have_no_probabilities():
    with pytest.raises(StageError, match="compares probabilities"):
        make_objective(MutualSettings(), task="regression", peers=networks()[1:])
    with pytest.raises(StageError, match="has none"):
        make_objective(MutualSettings())
