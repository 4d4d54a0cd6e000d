"""Ranges of activations and weights against plain numpy, and the learned step against its paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from edgekd.compress.observers import (
    LEAST_STEP,
    PERCENTILE,
    activation_spec,
    learned_step,
    weight_spec,
)
from edgekd.compress.quantize import calibrate, convert, load, prepare_ptq, prepare_qat, save
from edgekd.compress.recipe import Ranges, Recipe
from edgekd.config.stages import QuantizeSettings

FLOATS = st.floats(-100, 100, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)
TENSORS = arrays.arrays(
    np.float32, st.tuples(st.integers(2, 5), st.integers(2, 9)), elements=FLOATS
)


def activation(ranges: Ranges, x: np.ndarray, mode="ptq"):
    """A fake quantizer that has observed `x` and now quantizes."""
    spec = activation_spec(Recipe(mode, ranges))
    settings = {"dtype": spec.dtype, "quant_min": -128, "quant_max": 127, "qscheme": spec.qscheme}
    quantizer = spec.observer_or_fake_quant_ctr.with_args(**settings)()
    quantizer.disable_fake_quant()
    quantizer(torch.from_numpy(x))
    quantizer.settle()
    quantizer.enable_fake_quant()
    quantizer.disable_observer()
    return quantizer


@settings(max_examples=50, deadline=None)
@given(TENSORS)
def test_an_activation_is_quantized_as_the_specification_says(x):
    quantizer = activation("min_max", x)
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    scale = max((high - low) / 255, LEAST_STEP)
    assert float(quantizer.scale) == pytest.approx(scale, rel=1e-5)
    zero_point = int(np.clip(-128 - np.rint(low / scale), -128, 127))
    assert abs(int(quantizer.zero_point) - zero_point) <= 1  # a tie rounded in float32
    scale, zero_point = np.float32(quantizer.scale.item()), int(quantizer.zero_point)
    got = quantizer(torch.from_numpy(x)).numpy()
    integers = np.clip(np.rint(x * (np.float32(1) / scale)) + zero_point, -128, 127)
    np.testing.assert_allclose(got, (integers - zero_point) * scale, rtol=1e-6)
    assert np.abs(got - x).max() <= scale * 1.01  # half a step, and that of the zero point
    assert (quantizer(torch.zeros(3)) == 0).all()  # padding is exact


@settings(max_examples=50, deadline=None)
@given(TENSORS, st.sampled_from([7, 8]))
def test_a_weight_is_symmetric_per_channel_and_uses_its_whole_range(w, bits):
    spec = weight_spec(Recipe("ptq", "mse", bits), 0)
    largest = {7: 63, 8: 127}[bits]
    assert (spec.quant_min, spec.quant_max) == (-largest, largest)
    quantizer = spec.observer_or_fake_quant_ctr.with_args(
        dtype=spec.dtype, quant_min=-largest, quant_max=largest, qscheme=spec.qscheme
    )()
    got = quantizer(torch.from_numpy(w)).numpy()
    scale = np.maximum(np.abs(w).max(1) / largest, 2**-16)
    np.testing.assert_allclose(quantizer.scale.numpy(), scale, rtol=1e-6)
    assert np.isfinite(got).all() and not quantizer.zero_point.any()
    assert (np.abs(got - w) <= scale[:, None] * 0.501).all()


def test_a_percentile_leaves_out_the_tails():
    x = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    x[:2] = 100, -30
    quantizer = activation("percentile", x)
    low, high = np.percentile(x, [(100 - PERCENTILE) / 2, (100 + PERCENTILE) / 2])
    width = 130 / 2048  # of a bin of the histogram
    assert float(quantizer.scale) == pytest.approx((high - low) / 255, abs=2 * width / 255)
    assert float(activation("min_max", x).scale) == pytest.approx(130 / 255, rel=1e-5)


def test_the_least_squared_error_is_smaller_than_that_of_the_whole_range():
    x = np.random.default_rng(0).laplace(size=20_000).astype(np.float32)
    errors = {
        name: np.square(activation(name, x)(torch.from_numpy(x)).numpy() - x).mean()
        for name in ("mse", "min_max")
    }
    assert errors["mse"] < errors["min_max"]


@settings(max_examples=50, deadline=None)
@given(TENSORS, st.floats(0.05, 2), st.integers(-100, 100))
def test_the_gradients_of_a_learned_step_are_those_of_its_paper(x, step, zero_point):
    s = torch.tensor([step], requires_grad=True)
    values = torch.from_numpy(x).requires_grad_()
    got = learned_step(values, s, torch.tensor([zero_point]), -128, 127)
    got.sum().backward()
    # Esser et al. 2020: equations 1, 2, 3 and 5, and the gradient scale of section 2.2.
    low, high = -128 - zero_point, 127 - zero_point
    v = x / np.float32(step)
    inside = (v > low) & (v < high)
    exact = np.rint(np.clip(v, low, high)) * np.float32(step)
    off = np.abs(got.detach().numpy() - exact)
    assert (off[np.abs(np.abs(v - np.floor(v)) - 0.5) > 1e-3] < 1e-3).all()  # ties aside
    of_step = np.where(v <= low, low, np.where(v >= high, high, np.rint(v) - v))
    scale = 1 / np.sqrt(x.shape[1] * max(-low, high))
    near = np.abs(np.abs(v - np.floor(v)) - 0.5) < 1e-3  # rounded to either side in float32
    assert s.grad is not None and values.grad is not None
    slack = scale * (near.sum() + 0.01 * x.size)
    assert float(s.grad) == pytest.approx(float(of_step.sum()) * scale, abs=slack)
    np.testing.assert_array_equal(values.grad.numpy()[inside], 1)
    np.testing.assert_array_equal(values.grad.numpy()[(v < low) | (v > high)], 0)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def test_learned_steps_train_and_are_saved(tmp_path):
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    prepared = prepare_qat(small(), x[:2], ranges="learned")
    calibrate(prepared, [x])
    before = [q.step().item() for q in prepared.activation_quantizers()]
    usual = prepare_qat(small(), x[:2])
    calibrate(usual, [x])
    assert before == pytest.approx([q.scale.item() for q in usual.activation_quantizers()])
    optimizer = torch.optim.SGD(prepared.train().parameters(), 0.05)
    for _ in range(3):
        optimizer.zero_grad()
        prepared(x).square().mean().backward()
        optimizer.step()
    steps = [q.step().item() for q in prepared.activation_quantizers()]
    assert all(step != old for step, old in zip(steps, before, strict=True))
    save(prepared.eval(), tmp_path)
    again = load(small(), tmp_path)
    assert torch.equal(again(x), prepared(x))
    with torch.no_grad():
        difference = (convert(again, fold=True)(x) - prepared(x)).abs().max()
    assert difference <= 2.01 * steps[-1]


def test_seven_bits_stay_within_63(tmp_path):
    x = torch.randn(64, 6)
    prepared = prepare_ptq(small(), x[:2], weight_bits=7)
    calibrate(prepared, [x])
    save(prepared, tmp_path)
    for network in (prepared, load(small(), tmp_path)):
        stored = [v for v in convert(network, fold=True).state_dict().values() if v.ndim == 2]
        integers = [v for v in stored if v.dtype == torch.int8]
        assert len(integers) == 2 and {int(v.abs().max()) for v in integers} == {63}


def test_settings_take_what_the_mode_can():
    assert QuantizeSettings(ranges="learned").ranges == "learned"
    with pytest.raises(ValueError, match="ranges of ptq are mse"):
        QuantizeSettings(mode="ptq", ranges="learned")
    with pytest.raises(ValueError, match="ranges of qat are moving_average"):
        QuantizeSettings(ranges="percentile")
