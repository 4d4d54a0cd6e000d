"""The layer-by-layer comparison, against numpy and against fake quantizers switched by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from torch.nn import functional as F
from torchao.quantization.pt2e import FakeQuantize

from edgekd.compress.diagnose import _Sums, diagnose, layers_of
from edgekd.compress.quantize import calibrate, prepare_ptq, prepare_qat
from edgekd.errors import StageError

values = arrays(np.float64, 12, elements=st.floats(-1e3, 1e3, width=32))


class Net(nn.Module):
    """Convolutions with batch norm, a hard-swish, a residual add, pools, a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.classifier = nn.Linear(16, 4)

    def forward(self, x):
        x = F.hardswish(self.norm(self.stem(x)))
        x = x + self.block(x)
        x = torch.cat([F.max_pool2d(x, 2), F.avg_pool2d(x, 2)], 1)
        return self.classifier(x.mean((2, 3)))


def made(mode="ptq", keep=()):
    torch.manual_seed(0)
    x = torch.randn(48, 1, 8, 8)
    prepare = {"ptq": prepare_ptq, "qat": prepare_qat}[mode]
    prepared = prepare(Net().eval(), x[:4], keep_float=keep)
    calibrate(prepared, [x])
    return prepared.eval(), x


@pytest.fixture(scope="module", params=["ptq", "qat"])
def diagnosed(request):
    prepared, x = made(request.param)
    return prepared, x, diagnose(prepared, x.split(16))


@given(values, values)
@settings(max_examples=80, deadline=None)
def test_sums_are_numpys(f, q):
    sums = _Sums()
    for part in (slice(0, 5), slice(5, 12)):
        sums.add(torch.from_numpy(f[part]), torch.from_numpy(q[part]))
    noise = ((q - f) ** 2).sum()
    if noise == 0:
        assert sums.sqnr_db is None
    elif (f**2).sum() > 1e-3:
        wanted = max(10 * np.log10((f**2).sum() / noise), -200)
        assert sums.sqnr_db == pytest.approx(wanted, abs=1e-6)
    norms = np.linalg.norm(f) * np.linalg.norm(q)
    if norms > 1e-3:
        assert sums.cosine == pytest.approx(f @ q / norms, abs=1e-9)


def test_layers_are_named_as_keep_float_names_them(diagnosed):
    prepared, _, found = diagnosed
    named = [(layer.name, layer.operator) for layer in found.layers]
    assert named == [
        ("x", "input"),
        ("stem", "conv2d"),
        ("hardswish", "add"),
        ("block.0", "conv2d"),
        ("block.2", "conv2d"),
        ("add", "add"),
        ("avg_pool2d", "avg_pool2d"),
        ("mean", "mean"),
        ("classifier", "linear"),
    ]
    assert sum(layer.share for layer in found.layers) == pytest.approx(1)
    assert found.samples == 48
    inside = {layer.name: (len(layer.outputs), len(layer.weights)) for layer in layers_of(prepared)}
    assert inside["stem"] == inside["classifier"] == (1, 1)
    assert inside["hardswish"][0] >= 3  # x + 3 clamped, divided by 6, times x
    by = {layer.name: layer for layer in found.layers}
    assert by["block.0"].readers == ("block.2",)
    assert set(by["hardswish"].readers) == {"block.0", "add"}
    assert by["add"].readers == ("avg_pool2d", "mean")
    assert set(by["add"].movers) == {"max_pool2d", "cat"}
    assert by["classifier"].readers == ()


def test_the_output_is_compared_as_numpy_does(diagnosed):
    prepared, x, found = diagnosed
    quantizers = list(prepared.fake_quantizers())
    with torch.no_grad():
        q = prepared(x).double().numpy()
        for one in quantizers:
            one.disable_fake_quant()
        f = prepared(x).double().numpy()
        for one in quantizers:
            one.enable_fake_quant()
    sqnr = 10 * np.log10((f**2).sum() / ((q - f) ** 2).sum())
    assert found.sqnr_db == pytest.approx(sqnr, abs=0.01)
    assert found.layers[-1].sqnr_db == pytest.approx(sqnr, abs=0.01)
    cosine = (f * q).sum() / np.linalg.norm(f) / np.linalg.norm(q)
    assert found.layers[-1].cosine == pytest.approx(cosine, abs=1e-6)


def test_shares_by_fake_quantizers_switched_by_hand(diagnosed):
    """Of the layers whose quantizers nobody else has."""
    prepared, x, found = diagnosed
    modules = dict(prepared.graph_module.named_modules(remove_duplicate=False))
    quantizers = list(prepared.fake_quantizers())

    def error(on):
        for one in quantizers:
            (one.enable_fake_quant if one in on else one.disable_fake_quant)()
        with torch.no_grad():
            return prepared(x).double().numpy()

    exact = error([])
    alone = {}
    for layer in layers_of(prepared):
        on = [modules[str(n.target)] for n in (*layer.outputs, *layer.weights)]
        assert all(isinstance(one, FakeQuantize) for one in on)
        alone[layer.name] = ((error(on) - exact) ** 2).sum()
    error(quantizers)
    shares = {layer.name: layer.share for layer in found.layers}
    for name in ("x", "stem", "block.0", "block.2", "mean", "classifier"):
        wanted = alone[name] / alone["classifier"]
        assert shares[name] / shares["classifier"] == pytest.approx(wanted, rel=1e-3)


def test_uniform_numbers_in_8_bits_have_48_decibels():
    """Rounding noise of step d has the power d^2 / 12: 20 log10(256) dB for a full range (Bennett
    1948, "Spectra of quantized signals")."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(8, 2)

        def forward(self, x):
            return self.inner(x)

    torch.manual_seed(0)
    x = torch.rand(4096, 8) * 2 - 1
    prepared = prepare_ptq(Linear().eval(), x[:4])
    calibrate(prepared, [x])
    entering = diagnose(prepared, [x]).layers[0]
    assert entering.operator == "input"
    assert entering.sqnr_db == pytest.approx(20 * math.log10(256), abs=0.5)


def test_layers_in_float_are_gone_and_their_ends_are_told():
    prepared, x = made(keep=["block.0", "classifier"])
    found = diagnose(prepared, [x])
    named = {layer.name: layer.operator for layer in found.layers}
    assert "block.0" not in named
    assert "classifier" not in named
    assert named["after block.0"] == named["after classifier"] == "output"
    assert not {"x", "after block.0", "after classifier"} & {w.name for w in found.worst()}


def test_a_channel_that_dwarfs_the_others_is_found():
    """Its scale leaves the other channels of the same tensor a step or two."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        net[2].weight[3] *= 300
        net[4].weight[:, 3] /= 300
    x = torch.randn(256, 8)
    prepared = prepare_ptq(net.eval(), x[:4])
    calibrate(prepared, [x])
    worst = diagnose(prepared, [x]).worst()[0]
    assert worst.name == "2"
    assert worst.share > 0.9
    assert worst.readers == ("4",)


def test_bad_input():
    prepared, x = made()
    with pytest.raises(StageError, match="no samples"):
        diagnose(prepared, [])
    with pytest.raises(StageError, match=r"\(1, 4, 4\), and the network takes \(1, 8, 8\)"):
        diagnose(prepared, [x[:, :, :4, :4]])
    fresh = prepare_ptq(Net().eval(), x[:4])
    with pytest.raises(StageError, match="has seen no data"):
        diagnose(fresh, [x])
