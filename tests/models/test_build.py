"""The zoo: shapes, sizes of published networks, export, and inputs that do not suit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.config.networks import ModelSettings, ZooName
from edgekd.errors import StageError
from edgekd.models.build import build, names
from edgekd.models.count import parameters
from edgekd.models.dscnn import strides
from edgekd.models.layers import channels
from edgekd.spec import InputSpec

IMAGE_NETWORKS = [name for name in names() if name not in ("tablemlp", "cnn1d")]


def image(*shape: int) -> InputSpec:
    return InputSpec(kind="image", shape=shape, mean=(0,) * shape[0], std=(1,) * shape[0])


def row(features: int) -> InputSpec:
    return InputSpec(kind="row", shape=(features,), mean=(0,) * features, std=(1,) * features)


def network(name: str, spec: InputSpec, classes: int = 10, width: float = 1.0) -> nn.Module:
    torch.manual_seed(0)
    return build(ModelSettings(name=name, width=width), spec, classes)


def test_names_are_those_of_the_settings():
    assert names() == ZooName.__args__
    schema = str(ModelSettings.model_json_schema()["properties"]["name"])
    assert all(f"'{name}'" in schema for name in names())


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
@pytest.mark.parametrize(
    ("shape", "width"), [((1, 8, 8), 1), ((3, 16, 16), 0.3), ((2, 4, 5), 1), ((1, 9, 19), 0.5)]
)
def test_every_network_trains_on_every_image(name, shape, width):
    model = network(name, image(*shape), 7, width)
    logits = model(torch.randn(3, *shape))
    assert logits.shape == (3, 7)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
    assert isinstance(model.classifier, nn.Linear)


@pytest.mark.parametrize("name", ["resnet8", "dscnn", "mlp"])
def test_networks_export_with_any_batch(name):
    model = network(name, image(1, 8, 8)).eval()
    x = torch.randn(5, 1, 8, 8)
    shapes = {"x": {0: torch.export.Dim("batch")}}
    exported = torch.export.export(model, (x[:3],), dynamic_shapes=shapes).module()
    torch.testing.assert_close(exported(x), model(x))


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_no_layer_is_used_twice(name):
    """Pruning and quantization attach to layers: a shared one would get two meanings."""
    model, calls = network(name, image(3, 16, 16)).eval(), []
    for layer in model.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda layer, _inputs, _output: calls.append(id(layer)))
    model(torch.zeros(1, 3, 16, 16))
    assert len(calls) == len(set(calls))


def by_hand_resnet(blocks: int, inputs: int, classes: int) -> int:
    """Weights and batch-norm scales and shifts, layer by layer, with 1 x 1 shortcuts."""
    total, before = inputs * 9 * 16 + 2 * 16, 16
    for count in (16, 32, 64):
        for block in range(blocks):
            total += before * count * 9 + count * count * 9 + 4 * count
            if before != count:
                total += before * count + 2 * count
            before = count
            assert block < blocks
    return total + 64 * classes + classes


@pytest.mark.parametrize(("name", "blocks"), [("resnet8", 1), ("resnet20", 3), ("resnet56", 9)])
def test_resnet_parameters(name, blocks):
    assert parameters(network(name, image(3, 32, 32))) == by_hand_resnet(blocks, 3, 10)


def test_resnet_20_and_56_have_the_papers_size():
    """He et al. 2016, table 6: 0.27 M and 0.85 M, with option A; option B adds its shortcuts."""
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert parameters(network("resnet20", image(3, 32, 32))) - shortcuts == 269_722
    assert round((parameters(network("resnet56", image(3, 32, 32))) - shortcuts) / 1e6, 2) == 0.85


def test_dscnn_and_mlp_parameters():
    block = 64 * 9 + 2 * 64 + 64 * 64 + 2 * 64
    by_hand = 9 * 64 + 2 * 64 + 4 * block + 64 * 10 + 10
    assert parameters(network("dscnn", image(1, 8, 8))) == by_hand
    by_hand = 20 * 256 + 256 + 256 * 128 + 128 + 128 * 3 + 3
    assert parameters(network("mlp", row(20), 3)) == by_hand


@pytest.mark.parametrize(
    ("count", "width", "expected"),
    [(64, 1, 64), (64, 0.5, 32), (16, 0.1, 8), (16, 0.75, 16), (32, 0.625, 24), (64, 1.5, 96)],
)
def test_channels_are_multiples_of_8(count, width, expected):
    assert channels(count, width) == expected


def test_wider_networks_never_have_fewer_channels():
    counts = [channels(64, width) for width in np.linspace(0.05, 3, 200)]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (4, [1, 1, 1, 1, 1]),
        (8, [1, 1, 1, 1, 1]),
        (16, [1, 2, 1, 1, 1]),
        (32, [1, 2, 2, 1, 1]),
        (64, [2, 2, 2, 1, 1]),
        (96, [2, 2, 2, 2, 1]),
        (4000, [2, 2, 2, 2, 2]),
    ],
)
def test_dscnn_strides(side, expected):
    assert strides(side) == expected


@pytest.mark.parametrize("side", [9, 16, 17, 31, 64, 100, 256])
def test_dscnn_halves_until_the_map_is_small(side):
    model, shapes = network("dscnn", image(1, side, side + 3)).eval(), []
    model.blocks.register_forward_hook(lambda _l, _i, output: shapes.append(output.shape))
    model(torch.zeros(1, 1, side, side + 3))
    assert 4 <= shapes[0][2] <= 8


@pytest.mark.parametrize("name", [name for name in IMAGE_NETWORKS if name != "mlp"])
def test_rows_need_the_perceptron(name):
    with pytest.raises(StageError, match="rows of 30 numbers") as caught:
        network(name, row(30))
    assert caught.value.fix == "model: mlp"


@pytest.mark.parametrize("name", [name for name in IMAGE_NETWORKS if name != "mlp"])
def test_tiny_images_need_the_perceptron(name):
    with pytest.raises(StageError, match="4 x 4 pixels or more, and these are 3 x 9"):
        network(name, image(1, 3, 9))
    assert network("mlp", image(1, 3, 9))(torch.zeros(2, 1, 3, 9)).shape == (2, 10)


def test_same_seed_same_weights():
    first, second = (network("dscnn", image(1, 8, 8)).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_settings_side_imports_no_torch():
    code = (
        "import sys; import edgekd.models.build, edgekd.models.python_source, edgekd.data.sources;"
        "print([m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
