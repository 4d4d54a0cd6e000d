"""Taps outlast `torch.compile`, DistributedDataParallel and pruning, real ones each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ddp_worker
import pytest
import torch
import torch_pruning as tp
from feature_nets import SPEC, Net, pair
from safetensors.torch import load_file
from torch._dynamo.testing import CompileCounterWithBackend

from edgekd.compress.prune import prune
from edgekd.config.methods import ATSettings, FitNetSettings, VIDSettings
from edgekd.config.pruning import PruneSettings
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.distill.losses import make_objective
from edgekd.distill.part import Pair
from edgekd.distill.taps import Taps, all_maps, dry_run
from edgekd.train.batches import Batch
from edgekd.train.loop import fit

METHOD = (FitNetSettings(layers="layer*", weight=1), ATSettings(weight=10), VIDSettings())


def batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(12, 1, 8, 8, generator=generator)
    return Batch(x, torch.arange(12) % 3, torch.arange(12))


def step(pair_: Pair, network: torch.nn.Module, objective: torch.nn.Module, shown: Batch):
    """The loss's parts and the student's gradients."""
    pair_.student.zero_grad()
    with objective.watching(network):  # type: ignore[operator]
        loss, parts = objective(network(shown.x), shown, 0)
        loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in pair_.student.parameters()])  # type: ignore[union-attr]
    return {name: value.item() for name, value in parts.items()}, gradient


def test_a_compiled_student_is_looked_into():
    """Three epochs of steps through it are those of the plain one. The graph is what the hooks are
    traced into; what it is lowered to afterwards makes no difference to them."""
    plain, compiled = pair(), pair()
    counter = CompileCounterWithBackend("aot_eager")
    network = torch.compile(compiled.student, backend=counter)
    one, two = (make_objective(METHOD, pair=p) for p in (plain, compiled))
    counts = []
    for epoch in range(3):
        for number in range(2):
            shown = batch(10 * epoch + number)
            wanted, slope = step(plain, plain.student, one, shown)
            found, gradient = step(compiled, network, two, shown)
            assert found == pytest.approx(wanted, rel=1e-4)
            torch.testing.assert_close(gradient, slope, rtol=1e-3, atol=1e-5)
        counts.append(counter.frame_count)
    assert 0 < counts[0] == counts[-1]  # compiled, and not anew each epoch
    assert not compiled.student.layer1._forward_hooks  # type: ignore[union-attr]


def test_a_network_is_compiled_before_its_regressors_are_made():
    networks = pair()
    compiled = torch.compile(networks.student, backend="aot_eager")
    objective = make_objective(METHOD, pair=Pair(compiled, networks.teacher, SPEC))
    wanted, slope = step(networks, networks.student, make_objective(METHOD, pair=networks), batch())
    found, gradient = step(networks, compiled, objective, batch())
    assert found == pytest.approx(wanted, rel=1e-4)
    torch.testing.assert_close(gradient, slope, rtol=1e-3, atol=1e-5)
    assert list(all_maps(compiled, SPEC)) == list(all_maps(networks.student, SPEC))
    assert dry_run(compiled, SPEC, ["layer1"])["layer1"].shape == (2, 4, 8, 8)


def test_the_training_loop_takes_a_compiled_student():
    networks = pair()
    data = Split(batch().x.numpy(), batch().y.numpy())
    settings = TrainSettings(epochs=3, batch_size=6, precision="float32")
    compiled = torch.compile(networks.student, backend="aot_eager")
    objective = make_objective(FitNetSettings(layers="layer*", weight=1), pair=networks)
    history = fit(compiled, data, data, SPEC, settings, objective, seed=0)
    losses = [epoch.parts["fitnet"] for epoch in history.epochs]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_two_processes_train_one_student_with_its_maps(tmp_path: Path):
    """Gradients in both are the mean of what each would have had alone."""
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
    command = [sys.executable, str(here / "ddp_worker.py")]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path)], env=environment, stderr=subprocess.PIPE
        )
        for rank in range(ddp_worker.WORLD)
    ]
    told = [process.communicate(timeout=300)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    ranks = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(ddp_worker.WORLD)]
    for number in range(2):
        alone = []
        for rank in range(ddp_worker.WORLD):
            networks = ddp_worker.networks()
            objective = make_objective(ddp_worker.METHOD, pair=networks)
            step(networks, networks.student, objective, ddp_worker.batch(rank, number))
            alone.append(ddp_worker.gradients(networks.student))
        for name in alone[0]:
            wanted = (alone[0][name] + alone[1][name]) / 2
            for found in ranks:
                torch.testing.assert_close(found[f"{number}.{name}"], wanted, rtol=1e-4, atol=1e-6)


def test_taps_that_were_set_before_pruning_see_the_smaller_maps():
    torch.manual_seed(0)
    model = Net(16)
    shown = batch().x
    with Taps(model, ["layer1", "layer2"]) as taps:
        graph = tp.DependencyGraph().build_dependency(model, example_inputs=shown[:2])
        taps.take()
        convolution = model.layer1[0]
        graph.get_pruning_group(convolution, tp.prune_conv_out_channels, [0, 3, 5, 7]).prune()
        model(shown)
        maps = taps.take()
        assert maps["layer1"].shape == (12, 12, 8, 8)
        torch.testing.assert_close(maps["layer1"], model.layer1(shown))


def test_a_pruned_student_goes_on_learning_from_the_maps():
    """By `edgekd.compress`, which gives a copy: its layers have the names that they had."""
    torch.manual_seed(0)
    smaller = prune(Net(16), batch().x[:2], PruneSettings(keep=0.5, round_to=4))
    networks = pair(smaller, Net(8).eval())
    objective = make_objective(METHOD, pair=networks)
    assert objective.parts[0].shapes[1][0][0] < 32  # type: ignore[union-attr]
    parts, gradient = step(networks, smaller, objective, batch())
    assert list(parts) == ["ce", "fitnet", "at", "vid"] and gradient.isfinite().all()
