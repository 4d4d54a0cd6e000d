"""What calibration says about data and networks that cannot be quantized well, or at all."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edgekd.compress.quantize import calibrate, convert, prepare_ptq, prepare_qat
from edgekd.errors import StageError


class Net(nn.Module):
    def __init__(self, then=None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.then = nn.Linear(6, 16), nn.Linear(16, 3), then

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.second(x if self.then is None else self.then(x))


def samples() -> torch.Tensor:
    return torch.randn(256, 6, generator=torch.Generator().manual_seed(0))


def ready(model: nn.Module):
    return prepare_ptq(model.eval(), samples()[:2])


def test_another_shape_is_told_with_both():
    with pytest.raises(StageError, match="another shape") as caught:
        calibrate(ready(Net()), [torch.randn(4, 7)])
    assert "(7,)" in caught.value.where and "(6,)" in caught.value.where


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_data_of_one_number_is_refused(value):
    with pytest.raises(StageError, match="the same number"):
        calibrate(ready(Net()), [torch.full((8, 6), value)] * 2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_data_that_is_no_number_is_refused(value):
    x = samples()
    x[3, 2] = value
    with pytest.raises(StageError, match="no finite numbers"):
        calibrate(ready(Net()), [x])


def test_broken_weights_are_named():
    model = Net()
    with torch.no_grad():
        model.second.weight[0, 0] = math.nan
    with pytest.raises(StageError, match="weights that are no finite") as caught:
        calibrate(ready(model), [samples()])
    assert caught.value.where == "layer second: second.weight"


def test_a_layer_that_gives_no_numbers_is_named():
    class Logarithm(nn.Module):
        def forward(self, x):
            return torch.log(x - 1)

    with pytest.raises(StageError, match="gives values that are no finite") as caught:
        calibrate(ready(Net(Logarithm())), [samples()])
    assert caught.value.where in ("layer then", "layer second")


def test_after_an_error_it_calibrates_with_good_data():
    prepared = ready(Net())
    with pytest.raises(StageError):
        calibrate(prepared, [torch.zeros(8, 6)])
    assert calibrate(prepared, [samples()]) == []
    assert torch.isfinite(convert(prepared, fold=True)(samples())).all()


def test_dead_channels_have_scales_and_stay_dead():
    model = Net()
    with torch.no_grad():
        model.first.weight[:4] = 0
        model.first.bias[:4] = -1  # never through the relu
        model.second.weight[1] = 0
        model.second.bias[1] = 0
    prepared = ready(model)
    calibrate(prepared, [samples()])
    scales = [q.scale for q in prepared.fake_quantizers()]
    assert all(bool(((s > 0) & s.isfinite()).all()) for s in scales)
    got = convert(prepared, fold=True)(samples())
    assert torch.isfinite(got).all() and not got[:, 1].any()


def test_a_network_whose_activations_are_all_zero_has_scales():
    model = Net()
    with torch.no_grad():
        model.first.weight.zero_()
        model.first.bias.zero_()
    prepared = ready(model)
    calibrate(prepared, [samples()])
    assert torch.isfinite(convert(prepared, fold=True)(samples())).all()


def test_huge_outliers_are_told_with_their_layer_and_a_percentile_helps():
    model, x = Net(), torch.randn(40_000, 6, generator=torch.Generator().manual_seed(0))
    x[0, 0] = 300.0
    noise = {}
    for ranges in ("min_max", "percentile"):
        prepared = prepare_ptq(model.eval(), x[:2], ranges=ranges)
        warnings = calibrate(prepared, x.split(8000))
        with torch.no_grad():
            error = convert(prepared, fold=True)(x[1:]) - model(x[1:])
        noise[ranges] = float(error.square().mean())
        if ranges == "min_max":
            assert any("Layer first:" in text and "percentile" in text for text in warnings)
    assert noise["percentile"] < 0.1 * noise["min_max"]


def test_an_operator_without_int8_kernels_is_named_with_its_layer_and_a_way_out():
    prepared = ready(Net(nn.Mish()))
    (text,) = prepared.left_float
    assert "mish" in text and "layer then" in text and "silu" in text
    assert prepare_ptq(Net(nn.Mish()).eval(), samples()[:2], keep_float=["then"]).left_float == ()
    calibrate(prepared, [samples()])
    with torch.no_grad():
        error = convert(prepared, fold=True)(samples()) - Net(nn.Mish())(samples())
    assert error.abs().max() < 0.1  # and the network still runs, around it in int8


def test_what_falls_back_to_float_is_told_with_its_layer():
    layers = nn.Sequential(
        nn.LayerNorm(16), nn.GroupNorm(4, 16), nn.ReLU(), nn.BatchNorm1d(16),
        nn.Unflatten(1, (4, 4)), nn.ConvTranspose1d(4, 4, 1), nn.Flatten(),
    )  # fmt: skip
    told = ready(Net(layers)).left_float
    operators = {"layer_norm": 0, "group_norm": 1, "batch_norm": 3, "conv_transpose1d": 5}
    assert len(told) == len(operators)
    for text, (operator, number) in zip(told, operators.items(), strict=True):
        assert f"The operator {operator} stays float" in text
        assert f"(in layer then.{number})" in text
        assert "docs/compression.md" not in text  # but what to take


@pytest.mark.parametrize("prepare", [prepare_ptq, prepare_qat])
def test_a_batch_norm_that_is_part_of_a_layer_is_not_told(prepare):
    model = nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 4, 1), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(),
        nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Linear(8, 3), nn.LayerNorm(3),
    ).eval()  # fmt: skip
    assert prepare(model, samples()[:2], keep_float=["1", "8"]).left_float == ()
