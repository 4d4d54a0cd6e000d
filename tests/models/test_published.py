"""Parameters and multiply-accumulates of the zoo are the published ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from torch import nn

from edgekd.config.stages import ModelSettings
from edgekd.models.build import build
from edgekd.models.count import macs, parameters
from edgekd.models.layers import LEAST_MAP_SIDE, strides_for
from edgekd.spec import InputSpec


def image(*shape: int) -> InputSpec:
    return InputSpec(kind="image", shape=shape, mean=(0,) * shape[0], std=(1,) * shape[0])


@dataclass(frozen=True)
class Published:
    """What a source says of a network; figures as it prints them, so "0.27 M" is "0.27"."""

    name: str
    width: float
    shape: tuple[int, int, int]
    classes: int
    parameters: int | None
    """Exact."""
    millions: str | None
    """Parameters in millions, rounded as printed."""
    mega_macs: str | None
    """Multiply-accumulates in millions, rounded as printed."""
    source: str


IMAGENET = ((3, 224, 224), 1000)
MOBILENETS = "Howard et al. 2017, table {}"
SLIM_V2 = "tensorflow/models research/slim/nets/mobilenet/README.md, table of checkpoints"
TORCHVISION = "pytorch/vision torchvision/models/{}, meta of the weights (num_params, _ops)"

PUBLISHED = [
    Published("mobilenet_v1", 1.0, *IMAGENET, 4_231_976, "4.2", "569",
              MOBILENETS.format("6") + "; timm mobilenetv1_100: 4.23 M"),
    Published("mobilenet_v1", 0.75, *IMAGENET, None, "2.6", "325", MOBILENETS.format("6")),
    Published("mobilenet_v1", 0.5, *IMAGENET, None, "1.3", "149", MOBILENETS.format("6")),
    Published("mobilenet_v1", 0.25, *IMAGENET, None, "0.5", "41", MOBILENETS.format("6")),
    Published("mobilenet_v1", 1.0, (3, 128, 128), 1000, None, None, "186", MOBILENETS.format("7")),
    Published("mobilenet_v2", 1.0, *IMAGENET, 3_504_872, "3.50", "301",
              TORCHVISION.format("mobilenetv2.py") + "; paper, table 4: 3.4 M, 300 M"),
    Published("mobilenet_v2", 0.5, *IMAGENET, 1_968_680, None, "97", SLIM_V2 + "; timm"),
    Published("mobilenet_v2", 0.35, *IMAGENET, 1_677_128, None, "59", SLIM_V2 + "; timm"),
    Published("mobilenet_v3_small", 1.0, *IMAGENET, 2_542_856, "2.5", "57",
              TORCHVISION.format("mobilenetv3.py") + "; paper, table 3: 2.5 M, 56 M"),
    # The source prints 407 M MACs without saying what it counts. Convolutions and classifier alone
    # are 385 M, in timm's network as well; B0, which has the same ones, has 0.39 G in its paper.
    Published("efficientnet_lite0", 1.0, *IMAGENET, 4_652_008, "4.7", "385",
              "tensorflow/tpu models/official/efficientnet/lite, 4.7 M; timm efficientnet_lite0; "
              "385,187,552 MACs counted in timm's network"),
    Published("shufflenet_v2", 0.5, *IMAGENET, 1_366_792, None, "40",
              TORCHVISION.format("shufflenetv2.py")),
    Published("shufflenet_v2", 1.0, *IMAGENET, 2_278_604, None, "145",
              TORCHVISION.format("shufflenetv2.py") + "; paper, table 8: 2.3 M, 146 M"),
    Published("shufflenet_v2", 1.5, *IMAGENET, 3_503_624, None, "296",
              TORCHVISION.format("shufflenetv2.py")),
    Published("shufflenet_v2", 2.0, *IMAGENET, 7_393_996, None, "583",
              TORCHVISION.format("shufflenetv2.py")),
]  # fmt: skip


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: f"{p.name}-{p.width}-{p.shape[1]}")
def test_figures_are_the_published_ones(published: Published):
    spec = image(*published.shape)
    settings = ModelSettings.model_validate({"name": published.name, "width": published.width})
    model = build(settings, spec, published.classes)
    if published.parameters is not None:
        assert parameters(model) == published.parameters, published.source
    if published.millions is not None:
        assert rounded(parameters(model), published.millions) == published.millions
    if published.mega_macs is not None:
        assert rounded(macs(model, spec), published.mega_macs) == published.mega_macs


def rounded(count: int, like: str) -> str:
    """`count` in millions with as many decimals as `like`."""
    return f"{count / 1e6:.{len(like.partition('.')[2])}f}"


def test_vit_has_the_parameters_of_deit_tiny_without_a_class_token():
    """timm deit_tiny_patch16_224: 5,717,416 parameters, 1.26 G MACs (1.3 G with one decimal)."""
    spec = image(3, 224, 224)
    model = build(ModelSettings(name="vit"), spec, 1000)
    token_and_its_position = 2 * 192
    assert parameters(model) + token_and_its_position == 5_717_416
    tokens, layers = 14 * 14, 12 * 12 * 192 * 192
    attention = 12 * 2 * 192 * (2 * tokens + 1)  # what one more token adds to the two products
    assert f"{(macs(model, spec) + layers + attention) / 1e9:.1f}" == "1.3"
    assert macs(model, spec) == tokens * (layers + 12 * 2 * tokens * 192 + 768 * 192) + 192_000


@dataclass(frozen=True)
class Tiny:
    """A reference network of MLPerf Tiny 1.x: constants and MACs counted in its float TFLite file.

    The file's constants are weights and one bias an output channel, after the fold of batch
    normalisation. Source: mlcommons/tiny, benchmark/training/*/trained_models.
    """

    name: str
    width: float
    shape: tuple[int, int, int]
    classes: int
    constants: int
    macs: int
    file: str


TINY = [
    Tiny("resnet8", 1.0, (3, 32, 32), 10, 77_706, 12_501_632, "pretrainedResnet.tflite"),
    Tiny("mobilenet_v1", 0.25, (3, 96, 96), 2, 210_850, 7_489_664, "vww_96_float.tflite"),
    Tiny("kws_dscnn", 1.0, (1, 49, 10), 12, 22_604, 2_656_768, "kws_ref_model_float32.tflite"),
]


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
def test_mlperf_tiny_networks_have_the_constants_and_macs_of_their_files(tiny: Tiny):
    spec = image(*tiny.shape)
    settings = ModelSettings.model_validate({"name": tiny.name, "width": tiny.width})
    model = build(settings, spec, tiny.classes)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    weights = sum(layer.weight.numel() for layer in layers)
    folded = weights + sum(len(layer.weight) for layer in layers)
    assert folded == tiny.constants
    assert macs(model, spec) == tiny.macs


@pytest.mark.parametrize(
    ("name", "shape", "classes", "keras"),
    [("resnet8", (3, 32, 32), 10, 78_666), ("kws_dscnn", (1, 49, 10), 12, 24_908)],
)
def test_keras_count_of_mlperf_tiny_networks(name, shape, classes, keras):
    """Keras counts a bias of each convolution beside its batch norm, and running statistics.

    `model.summary()` of mlcommons/tiny's keras_model.py; its ResNet has no batch norm on shortcuts.
    """
    model = build(ModelSettings.model_validate({"name": name}), image(*shape), classes)
    total = 0
    for layer_name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            total += layer.weight.numel() + len(layer.weight)
        elif isinstance(layer, nn.BatchNorm2d) and "shortcut" not in layer_name:
            total += 4 * layer.num_features
    assert total == keras


@pytest.mark.parametrize(
    ("side", "expected"),
    [(4, "11111"), (5, "11112"), (8, "11112"), (10, "11122"), (32, "11222"), (48, "12222"),
     (64, "12222"), (65, "22222"), (96, "22222"), (224, "22222")],
)  # fmt: skip
def test_strides_for_small_images(side, expected):
    assert "".join(map(str, strides_for(side, [2] * 5))) == expected


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
@pytest.mark.parametrize("side", [8, 28, 32, 50, 96])
def test_last_map_is_neither_a_point_nor_large(name, side):
    model = build(
        ModelSettings.model_validate({"name": name, "width": 0.25}), image(3, side, side + 5), 4
    )
    shapes: list[tuple[int, ...]] = []
    model.get_submodule("blocks").register_forward_hook(lambda _l, _i, y: shapes.append(y.shape))
    macs(model, image(3, side, side + 5))
    assert LEAST_MAP_SIDE <= shapes[0][2] <= 2 * LEAST_MAP_SIDE
