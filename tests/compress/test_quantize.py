"""QAT and PTQ: the numbers through preparing, training, converting, saving."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from edge_nets import NETS, inputs, make
from torch import nn

from edgekd.compress.quantize import (
    calibrate,
    convert,
    float_weights_into,
    freeze_batch_norm,
    freeze_observers,
    load,
    prepare_ptq,
    prepare_qat,
    save,
)
from edgekd.errors import StageError

PREPARE = {"qat": prepare_qat, "ptq": prepare_ptq}


def step_of(graph_module) -> float:
    """Scale of the network's output."""
    quantize = torch.ops.quantized_decomposed.quantize_per_tensor.default
    return [n for n in graph_module.graph.nodes if n.target is quantize][-1].args[1]


def trained(name: str):
    """A network, and it prepared for QAT and trained a little; copies of one made once."""
    return copy.deepcopy(trained_once(name))


@functools.cache
def trained_once(name: str):
    model, x = make(name), inputs()
    prepared = copy.deepcopy(prepared_once(name, "qat"))
    calibrate(prepared, x.split(64))
    prepared.train()
    optimizer = torch.optim.SGD(prepared.parameters(), 0.01)
    for batch in x.split(32):
        optimizer.zero_grad()
        prepared(batch).square().mean().backward()
        optimizer.step()
    prepared.eval()(x)  # the ranges of the weights follow the last step
    return model, prepared


@functools.cache
def prepared_once(name: str, mode: str):
    return PREPARE[mode](make(name), inputs(2))


def all_equal(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize("mode", ["qat", "ptq"])
@pytest.mark.parametrize("name", sorted(NETS))
def test_quantized_network_stays_near_the_float_one(name, mode):
    model, x = make(name), inputs()
    prepared = copy.deepcopy(prepared_once(name, mode))
    calibrate(prepared, x.split(32))
    with torch.no_grad():
        wanted, got = model(x), prepared.eval()(x)
    noise = (got - wanted).std() / wanted.std()
    assert 0 < noise < 0.15  # int8: some percent, and certainly not none
    assert (got.argmax(1) == wanted.argmax(1)).float().mean() > 0.9


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("name", sorted(NETS))
def test_converted_network_computes_what_training_simulated(name, fold):
    _, prepared = trained(name)
    x = inputs(seed=5)
    converted = convert(prepared, fold=fold)
    with torch.no_grad():
        steps = (converted(x) - prepared(x)).abs() / step_of(converted)
    # Training adds float biases, the converted network rounded ones: a step, rarely two.
    assert steps.max() < 2.01
    assert (steps < 1.01).float().mean() > 0.998


@pytest.mark.parametrize("name", ["separable", "mobile"])
def test_convert_leaves_the_prepared_network_alone(name):
    _, prepared = trained(name)
    before = {k: v.clone() for k, v in prepared.state_dict().items()}
    first = convert(prepared, fold=True)(inputs())
    assert all_equal(before, prepared.state_dict())
    assert torch.equal(first, convert(prepared, fold=True)(inputs()))
    prepared.train()(inputs()).sum().backward()  # and it still trains


def test_preparing_leaves_the_float_network_alone():
    model = make("perceptron")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    prepared = prepare_qat(model, inputs(2))
    prepared.train()(inputs())
    for parameter in prepared.parameters():
        parameter.data.add_(1)
    assert all_equal(before, model.state_dict())


@pytest.mark.parametrize("name", sorted(NETS))
def test_float_network_gets_the_trained_weights_back(name):
    model, prepared = trained(name)
    untrained = copy.deepcopy(model)
    got = float_weights_into(model, prepared).eval()
    x = inputs()
    with torch.no_grad():
        near, far = (got(x) - prepared(x)).std(), (untrained(x) - prepared(x)).std()
    assert near < 0.15 * prepared(x).std()
    assert near < far  # what it had before is farther away
    linear = dict(got.named_parameters())["classifier.weight" if name != "perceptron" else
                                          "layers.7.weight"]  # fmt: skip
    key = "graph_module." + ("classifier.weight" if name != "perceptron" else "layers.7.weight")
    assert torch.equal(linear, prepared.state_dict()[key])


def test_float_weights_into_another_network_names_the_tensor():
    _, prepared = trained("separable")
    with pytest.raises(StageError, match="stem"):
        float_weights_into(make("residual"), prepared)


@pytest.mark.parametrize("mode", ["qat", "ptq"])
@pytest.mark.parametrize("name", ["mobile", "perceptron"])
def test_saved_and_loaded_is_bit_identical(name, mode, tmp_path):
    if mode == "qat":
        model, prepared = trained(name)
    else:
        model = make(name)
        prepared = prepare_ptq(model, inputs(2))
        calibrate(prepared, [inputs()])
    save(prepared, tmp_path)
    again = load(make(name, seed=9), tmp_path)
    x = inputs(seed=7)
    assert torch.equal(again(x), prepared(x))
    assert all_equal(prepared.state_dict(), again.state_dict())
    scales = [q.scale for q in prepared.fake_quantizers()]
    assert all(map(torch.equal, scales, [q.scale for q in again.fake_quantizers()]))
    points = [q.zero_point for q in prepared.fake_quantizers()]
    assert all(map(torch.equal, points, [q.zero_point for q in again.fake_quantizers()]))
    assert torch.equal(convert(again, fold=True)(x), convert(prepared, fold=True)(x))
    assert not [p for p in tmp_path.iterdir() if p.suffix not in (".json", ".safetensors")]


def test_loading_into_another_network_fails(tmp_path):
    _, prepared = trained("separable")
    save(prepared, tmp_path)
    with pytest.raises(StageError, match="does not fit"):
        load(make("perceptron"), tmp_path)


def test_evaluation_moves_nothing():
    _, prepared = trained("mobile")
    before = {k: v.clone() for k, v in prepared.state_dict().items()}
    prepared(inputs() * 100)
    assert all_equal(before, prepared.state_dict())


def test_training_moves_ranges_until_observers_are_frozen():
    _, prepared = trained("separable")

    def ranges():
        return [q.scale.clone() for q in prepared.activation_quantizers()]

    start = ranges()
    prepared.train()(inputs() * 10)
    moved = ranges()
    assert not all(map(torch.equal, start, moved))
    freeze_observers(prepared)
    prepared.train()(inputs() * 100)
    assert all(map(torch.equal, moved, ranges()))


def test_frozen_batch_norm_keeps_its_statistics_and_computes_as_in_evaluation():
    _, prepared = trained("separable")
    freeze_observers(prepared)
    freeze_batch_norm(prepared)
    prepared.train()
    before = {k: v.clone() for k, v in prepared.state_dict().items()}
    got = prepared(inputs())
    assert all_equal(before, prepared.state_dict())
    assert torch.equal(got, prepared.eval()(inputs()))


def test_batch_norm_trains_with_its_own_momentum_and_eps():
    model, prepared = make("mobile"), copy.deepcopy(prepared_once("mobile", "qat"))
    prepared.train()(inputs())
    reference = copy.deepcopy(model).train()
    x = inputs()
    reference.stem(x)
    mean = prepared.graph_module.state_dict()["stem.1.running_mean"]
    # momentum 0.01; the input is quantized in one of the two
    torch.testing.assert_close(mean, reference.stem[1].running_mean, atol=1e-3, rtol=0.02)
    assert (mean - model.stem[1].running_mean).abs().max() < 0.02


def test_zero_gamma_trains_without_nan():
    model = make("residual")
    nn.init.zeros_(model.blocks[0].second[1].weight)
    prepared = prepare_qat(model, inputs(2))
    loss = prepared.train()(inputs()).square().mean()
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in prepared.parameters() if p.grad is not None)


def test_scale_and_zero_point_of_the_input_match_its_range():
    x = inputs()
    prepared = copy.deepcopy(prepared_once("separable", "qat"))
    calibrate(prepared, [x])
    converted = convert(prepared, fold=True)
    quantize = torch.ops.quantized_decomposed.quantize_per_tensor.default
    first = next(n for n in converted.graph.nodes if n.target is quantize)
    low, high = float(x.min()), float(x.max())
    assert first.args[1] == pytest.approx((high - low) / 255, rel=1e-5)
    assert first.args[2] == round(-128 - low / ((high - low) / 255))


def test_any_batch_size():
    _, prepared = trained("mobile")
    converted = convert(prepared, fold=True)
    whole = converted(inputs(7))
    torch.testing.assert_close(converted(inputs(7)[:1]), whole[:1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", ["qat", "ptq"])
def test_without_data_it_refuses_to_convert(mode):
    with pytest.raises(StageError, match="no data"):
        convert(prepared_once("separable", mode), fold=True)


def test_a_network_that_cannot_be_captured():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x):
            return self.linear(x) if x.sum() > 0 else -self.linear(x)

    with pytest.raises(StageError, match="captured"):
        prepare_qat(Branching(), torch.zeros(2, 4))


def test_several_inputs_without_names_are_refused():
    class Sum(nn.Module):
        def forward(self, x, y):
            return x + y

    with pytest.raises(StageError, match="2 inputs have no names") as caught:
        prepare_ptq(Sum(), (torch.zeros(2, 4), torch.zeros(2, 4)))
    assert "dictionary" in caught.value.fix


class Values(torch.fx.Interpreter):
    """Runs a graph and keeps what each node gave."""

    def __init__(self, graph_module):
        super().__init__(graph_module)
        self.of = {}

    def run_node(self, n):
        self.of[n] = super().run_node(n)
        return self.of[n]


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("name", ["mobile", "perceptron"])
def test_layers_compute_what_integer_kernels_do(name, fold):
    _, prepared = trained(name)
    converted = convert(prepared, fold=fold)
    values = Values(converted)
    with torch.no_grad():
        values.run(inputs(seed=5))
    of, wrong, count, layers = values.of, 0, 0, 0
    aten, decomposed = torch.ops.aten, torch.ops.quantized_decomposed
    for node in converted.graph.nodes:
        if node.target not in (aten.conv2d.default, aten.linear.default) or len(node.args) < 3:
            continue
        quantize = next(iter(node.users))
        activation = quantize.target if quantize.target is aten.relu.default else None
        if activation is not None:
            quantize = next(iter(quantize.users))
        if quantize.target is not decomposed.quantize_per_tensor.default:
            continue  # another activation, computed in float
        source, weight, bias = node.args[:3]
        scale = (of[weight.args[1]] * source.args[1]).double()
        bias = torch.round(of[bias].double() / scale)
        assert bias.abs().max() < 2**31
        x = of[source.args[0]].double() - source.args[2]
        sums = node.target(x, of[weight.args[0]].double(), bias, *node.args[3:])
        real = sums * scale.reshape(-1, *[1] * (sums.ndim - 2))
        real = real if activation is None else activation(real)
        wanted = (torch.round(real / quantize.args[1]) + quantize.args[2]).clamp(-128, 127)
        wrong += int((wanted != of[quantize]).sum())
        count, layers = count + wanted.numel(), layers + 1
    assert layers >= 2
    assert wrong <= 1e-4 * count  # halves that float arithmetic rounds to the other side
