"""The perceptron of tables: what it computes, and both runtimes in int8."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgekd import inputs
from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.build import build
from edgekd.models.count import macs, parameters
from edgekd.models.tablemlp import TableMLP, vector_length
from edgekd.spec import InputSpec, NamedInputs

NUMBERS = InputSpec(name="numbers", kind="row", shape=(6,), mean=(0,) * 6, std=(1,) * 6)
CODES = InputSpec(
    name="codes", kind="codes", shape=(3,), vocabulary=(tuple("abc"), tuple("defgh"), tuple("xy"))
)
BOTH = NamedInputs(inputs=(NUMBERS, CODES))


def test_vector_length_is_fastais_rule():
    assert [vector_length(n) for n in (2, 3, 10, 100)] == [2, 3, 6, 16]
    assert round(1.6 * 10**0.56) == 6


def test_answers_are_those_of_numpy():
    torch.manual_seed(0)
    model = TableMLP(6, (4, 6, 3), 2, width=0.125).eval()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 6)).astype("f4")
    codes = np.stack([rng.integers(0, n, 5) for n in (4, 6, 3)], 1).astype("i4")
    w = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    rows = codes + np.array([0, 4, 10])
    hidden = x @ w["numbers.weight"].T + w["numbers.bias"]
    hidden = hidden + w["embedding.weight"][rows].reshape(5, -1) @ w["codes.weight"].T
    hidden = np.maximum(hidden, 0) @ w["second.weight"].T + w["second.bias"]
    expected = np.maximum(hidden, 0) @ w["classifier.weight"].T + w["classifier.bias"]
    with torch.no_grad():
        answer = model(torch.from_numpy(x), torch.from_numpy(codes)).numpy()
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)


def test_built_from_each_form_of_a_table():
    settings = ModelSettings(name="tablemlp")
    for spec in (NUMBERS, NamedInputs(inputs=(CODES,)), BOTH):
        model = build(settings, spec, 3).eval()
        assert inputs.call(model, inputs.zeros(spec, 2)).shape == (2, 3)
    length = vector_length(6)
    assert macs(model, BOTH) == 6 * 256 + 3 * length * 256 + 256 * 128 + 128 * 3
    assert parameters(model) == macs(model, BOTH) + 256 + 128 + 3 + 13 * length


def test_other_networks_and_other_samples_are_refused():
    with pytest.raises(StageError, match="one input, and the samples have 2"):
        build(ModelSettings(name="mlp"), BOTH, 3)
    image = InputSpec(kind="image", shape=(1, 8, 8), mean=(0,), std=(1,))
    with pytest.raises(StageError, match="rows of a table"):
        build(ModelSettings(name="tablemlp"), image, 3)


def test_a_users_factory_gets_the_named_inputs(tmp_path):
    (tmp_path / "net.py").write_text(
        """
import torch

class Net(torch.nn.Module):
    def __init__(self, spec, classes):
        super().__init__()
        self.names = [part.name for part in spec.inputs]
        self.linear = torch.nn.Linear(spec.inputs[0].shape[0], classes)

    def forward(self, *inputs):
        return self.linear(inputs[self.names.index("numbers")])

def make(spec, classes):
    return Net(spec, classes)

def wrong(spec, classes):
    return torch.nn.Linear(6, classes)
"""
    )
    model = build(ModelSettings(python="net.py:make"), BOTH, 3, tmp_path)
    assert inputs.call(model, inputs.zeros(BOTH, 4)).shape == (4, 3)
    with pytest.raises(StageError, match=r"numbers \(2, 6\), codes \(2, 3\)"):
        build(ModelSettings(python="net.py:wrong"), BOTH, 3, tmp_path)
