"""Keras models as networks of torch, against Keras's own answers."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="the optional library keras")

from keras import layers  # noqa: E402
from torch import nn  # noqa: E402

from edgekd.config.stages import ModelSettings  # noqa: E402
from edgekd.errors import StageError  # noqa: E402
from edgekd.models.build import build  # noqa: E402
from edgekd.models.keras_plan import plan_of, same_padding  # noqa: E402
from edgekd.models.library_key import library_source  # noqa: E402
from edgekd.models.saved import load, save  # noqa: E402
from edgekd.spec import InputSpec, ModelSpec  # noqa: E402

RAW = {"scale": 1 / 255}


def pictures(side: int = 16, channels: int = 3) -> InputSpec:
    return InputSpec(
        kind="image", shape=(channels, side, side), mean=(110.0, 120.0, 130.0)[:channels],
        std=(50.0, 60.0, 70.0)[:channels], peak=255.0,
    )  # fmt: skip


def shaken(model):
    """Weights as of a trained network: no batch norm is the identity any more."""
    generator = np.random.default_rng(0)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.get_weights()[0].shape
            layer.set_weights([
                generator.uniform(0.5, 1.5, shape) if w.name in ("gamma", "moving_variance")
                else generator.normal(0, 0.3, shape)
                for w in layer.weights
            ])  # fmt: skip
    return model


def mobile(side: int = 16, classes: int = 5, end: str | None = "softmax"):
    """Depthwise, strides on even sizes, a residual, a gate, and a model inside of the model."""
    x = entry = layers.Input((side, side, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization(scale=False)(y)
    y = layers.Conv2D(8, 1, activation="hard_swish")(y)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(8, 1, activation="hard_sigmoid")(gate)
    x = layers.Add()([x, layers.Multiply()([y, gate])])
    inner = keras.Sequential([layers.SeparableConv2D(12, 3, padding="same"), layers.LeakyReLU(0.1)])
    x = layers.Concatenate()([inner(x), layers.MaxPooling2D(3, 1, padding="same")(x)])
    x = layers.AveragePooling2D(2)(layers.ZeroPadding2D(((0, 1), (1, 0)))(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return shaken(keras.Model(entry, layers.Dense(classes, activation=end)(x)))


def answers(model, x: np.ndarray) -> np.ndarray:
    """Keras's own, of channels-first samples."""
    last = np.moveaxis(x, 1, -1) if x.ndim == 4 else x
    with torch.no_grad():
        return np.asarray(keras.ops.convert_to_numpy(model(last.astype(np.float32))))


def samples(spec: InputSpec, count: int = 6) -> np.ndarray:
    generator = np.random.default_rng(1)
    return generator.integers(0, 256, (count, *spec.shape)).astype(np.float32)


def given(model, folder: Path, spec: InputSpec, classes: int, **settings) -> nn.Module:
    model.save(folder / "net.keras")
    settings = ModelSettings(name="keras:net.keras", **settings)
    return build(settings, spec, classes, folder).eval()


@pytest.mark.parametrize("side", [15, 16])
def test_a_functional_model_answers_as_in_keras(side, tmp_path):
    spec = pictures(side)
    model = mobile(side)
    network = given(model, tmp_path, spec, 5, pretrained=True, arguments=RAW)
    raw = samples(spec)
    with torch.no_grad():
        logits = network(torch.from_numpy(spec.normalise(raw)))
    np.testing.assert_allclose(logits.softmax(1), answers(model, raw / 255), atol=1e-5)
    assert float(logits.sum(1).abs().max()) > 1e-3  # logits, and no probabilities


def test_flatten_keeps_kerass_order_and_a_first_rescaling_takes_raw_values(tmp_path):
    spec = pictures(8)
    model = keras.Sequential([
        layers.Input((8, 8, 3)), layers.Rescaling(1 / 127.5, offset=-1),
        layers.Conv2D(4, 3, strides=2, activation="relu"), layers.MaxPooling2D(2, padding="same"),
        layers.Flatten(), layers.Dense(6, activation="tanh"), layers.Dense(4),
    ])  # fmt: skip
    network = given(model, tmp_path, spec, 4, pretrained=True)
    raw = samples(spec)
    with torch.no_grad():
        got = network(torch.from_numpy(spec.normalise(raw)))
    np.testing.assert_allclose(got, answers(model, raw), atol=1e-4)


def test_rows_of_numbers(tmp_path):
    spec = InputSpec(kind="row", shape=(6,), mean=(1.0,) * 6, std=(2.0,) * 6)
    normal = layers.Normalization()
    normal.adapt(np.random.default_rng(0).normal(3, 2, (50, 6)))
    model = shaken(keras.Sequential([
        layers.Input((6,)), normal, layers.Dense(8), layers.BatchNormalization(),
        layers.Activation("gelu"), layers.Dense(3, activation="softmax"),
    ]))  # fmt: skip
    network = given(model, tmp_path, spec, 3, pretrained=True)
    raw = samples(spec) / 50
    with torch.no_grad():
        got = network(torch.from_numpy(spec.normalise(raw))).softmax(1)
    np.testing.assert_allclose(got, answers(model, raw), atol=2e-3)  # torch's exact GELU


def test_one_sigmoid_becomes_two_logits(tmp_path):
    spec = pictures(8)
    model = keras.Sequential([
        layers.Input((8, 8, 3)), layers.GlobalMaxPooling2D(), layers.Dense(1, activation="sigmoid")
    ])  # fmt: skip
    network = given(model, tmp_path, spec, 2, pretrained=True, arguments=RAW)
    raw = samples(spec)
    with torch.no_grad():
        got = network(torch.from_numpy(spec.normalise(raw))).softmax(1)[:, 1]
    np.testing.assert_allclose(got, answers(model, raw / 255)[:, 0], atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_same_padding_of_every_size(stride, kernel):
    for side in (7, 8, 9):
        model = keras.Sequential([
            layers.Input((side, side, 2)),
            layers.Conv2D(3, kernel, strides=stride, padding="same"),
        ])  # fmt: skip
        plan = plan_of(model, torch.zeros(1, 2, side, side), "")
        x = np.random.default_rng(0).normal(size=(2, 2, side, side)).astype(np.float32)
        with torch.no_grad():
            got = plan.network()(torch.from_numpy(x)).movedim(1, -1)
        np.testing.assert_allclose(got, answers(model, x), atol=1e-5)
    assert same_padding(8, 3, 2) == (0, 1) and same_padding(9, 3, 2) == (1, 1)


def test_fresh_weights_and_other_classes(tmp_path):
    spec, model = pictures(), mobile()
    torch.manual_seed(0)
    network = given(model, tmp_path, spec, 7)
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 7)
    kept = given(model, tmp_path, spec, 7, pretrained=True, arguments=RAW)
    kernel = torch.tensor(np.asarray(model.layers[1].get_weights()[0])).permute(3, 2, 0, 1)
    key = next(k for k, v in kept.state_dict().items() if v.shape == kernel.shape)
    assert torch.equal(kept.state_dict()[key], kernel)
    assert not torch.equal(network.state_dict()[key], kernel)


def test_a_saved_network_needs_neither_the_file_nor_keras(tmp_path, monkeypatch):
    spec = pictures()
    settings = ModelSettings(name="keras:net.keras", pretrained=True, arguments=RAW)
    network = given(mobile(), tmp_path, spec, 5, pretrained=True, arguments=RAW)
    described = ModelSpec(name="k", input=spec, labels=tuple("abcde"))
    save(network, settings, described, tmp_path / "saved")
    before = library_source(settings, tmp_path)
    assert len(before["file"]) == 64
    (tmp_path / "net.keras").unlink()
    monkeypatch.setattr("edgekd.models.library_keras._keras", lambda _: pytest.fail("asked"))
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "saved", tmp_path).model(x), network(x))


def test_a_factory_may_return_a_keras_model(tmp_path):
    (tmp_path / "nets.py").write_text(
        "import os\nos.environ.setdefault('KERAS_BACKEND', 'torch')\nimport keras\n"
        "from keras import layers\n"
        "def make(spec, classes):\n"
        "    c, h, w = spec.shape\n"
        "    return keras.Sequential([layers.Input((h, w, c)), layers.Conv2D(4, 3),\n"
        "        layers.Flatten(), layers.Dense(classes, activation='softmax')])\n"
    )
    network = build(ModelSettings(python="nets.py:make"), pictures(8), 4, tmp_path)
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    assert sum(p.numel() for p in network.parameters()) == 4 * 27 + 4 + 144 * 4 + 4


@keras.saving.register_keras_serializable("ours")
class Own(layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: layers.Lambda(lambda x: x), "names Lambda"),
        (Own, "ours>Own"),
        (lambda: layers.Conv2D(4, 3, activation="softplus"), "softplus is not known"),
        (lambda: layers.UpSampling2D(2), "UpSampling2D.* cannot be translated"),
        (lambda: layers.BatchNormalization(axis=1), "normalises axis 1"),
        (lambda: layers.ReLU(max_value=4), "and not 6"),
    ],
)
def test_layers_that_cannot_be_translated_are_named(layer, message, tmp_path):
    model = keras.Sequential([
        layers.Input((8, 8, 3)), layer(), layers.Flatten(), layers.Dense(2)
    ])  # fmt: skip
    with pytest.raises(StageError, match=message):
        given(model, tmp_path, pictures(8), 2)


def test_what_does_not_fit_is_said(tmp_path):
    spec = pictures()
    with pytest.raises(StageError, match="which values its weights") as caught:
        given(mobile(), tmp_path, spec, 5, pretrained=True)
    assert "scale: 0.003921569" in caught.value.fix
    with pytest.raises(StageError, match=r"takes \(16, 16, 3\), channels last"):
        build(ModelSettings(name="keras:net.keras"), pictures(12), 5, tmp_path)
    with pytest.raises(StageError, match="no file"):
        build(ModelSettings(name="keras:none.keras"), spec, 5, tmp_path)
    with pytest.raises(StageError, match="leads out"):
        build(ModelSettings(name="keras:../net.keras"), spec, 5, tmp_path)
    with pytest.raises(StageError, match=r"\.keras files are read"):
        build(ModelSettings(name="keras:net.h5"), spec, 5, tmp_path)


def test_damaged_and_hostile_archives(tmp_path):
    mobile().save(tmp_path / "good.keras")
    settings = ModelSettings(name="keras:net.keras")
    content = (tmp_path / "good.keras").read_bytes()
    for length in (0, 50, len(content) // 2, len(content) - 30):
        (tmp_path / "net.keras").write_bytes(content[:length])
        with pytest.raises(StageError):
            build(settings, pictures(), 5, tmp_path)
    shutil.copy(tmp_path / "good.keras", tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as source:
        config = json.loads(source.read("config.json"))
        config["config"]["layers"][1]["module"] = "os"
        config["config"]["layers"][1]["class_name"] = "system"
        with zipfile.ZipFile(tmp_path / "net.keras", "w") as target:
            for name in source.namelist():
                text = json.dumps(config) if name == "config.json" else source.read(name)
                target.writestr(name, text)
    with pytest.raises(StageError, match="names system"):
        build(settings, pictures(), 5, tmp_path)
