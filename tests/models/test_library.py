"""Networks of other libraries: adapted, normalised as their weights expect, saved and loaded."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import vision
from torch import nn

from edgekd.config.load import validate
from edgekd.config.stages import ModelSettings
from edgekd.errors import ConfigError, StageError
from edgekd.models.build import build
from edgekd.models.library import Affine, Normalisation, check_fresh, read_weights, require
from edgekd.models.library_key import library_source, weights_file
from edgekd.models.saved import load, save
from edgekd.spec import InputSpec, ModelSpec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pictures(channels: int = 3, side: int = 16, peak: float | None = 255.0) -> InputSpec:
    unit = peak or 1.0
    return InputSpec(
        kind="image",
        shape=(channels, side, side),
        mean=tuple(share * unit for share in (0.47, 0.4, 0.35)[:channels]),
        std=tuple(share * unit for share in (0.25, 0.2, 0.3)[:channels]),
        peak=peak,
    )


def raw_pictures(spec: InputSpec, count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *spec.shape)).astype(np.float32)


def missing(library: str) -> str | None:
    """Why a library cannot be used here, or None."""
    try:
        importlib.import_module(library)
    except Exception as error:
        return f"{library}: {type(error).__name__}: {str(error).splitlines()[0]}"
    return None


vision.provide()
NO_TRANSFORMERS, NO_TIMM, NO_TORCHVISION = map(missing, ("transformers", "timm", "torchvision"))
needs_transformers = pytest.mark.skipif(NO_TRANSFORMERS is not None, reason=str(NO_TRANSFORMERS))
needs_timm = pytest.mark.skipif(NO_TIMM is not None, reason=str(NO_TIMM))
needs_torchvision = pytest.mark.skipif(NO_TORCHVISION is not None, reason=str(NO_TORCHVISION))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("peak", [255.0, 16.0, 1.0])
def test_affine_gives_what_the_weights_were_trained_on(channels, peak):
    spec = pictures(channels, peak=peak)
    raw = raw_pictures(spec) / 255 * peak
    factor, offset = Normalisation(MEAN, STD).map_from(spec)
    got = Affine(factor, offset)(torch.from_numpy(spec.normalise(raw)))
    colour = np.broadcast_to(raw / peak, (5, 3, 16, 16))
    shape = (1, 3, 1, 1)
    wanted = (colour - np.reshape(MEAN, shape)) / np.reshape(STD, shape)
    np.testing.assert_allclose(got.numpy(), wanted, atol=2e-5)


def test_pixels_of_unknown_scale_are_refused():
    with pytest.raises(StageError, match="known scale"):
        Normalisation(MEAN, STD).map_from(pictures(peak=None))


def test_only_the_classifier_may_start_fresh():
    check_fresh("timm:x", {"head.weight": (7, 64), "head.bias": (7,)}, 7)
    with pytest.raises(StageError, match=r"pos_embed") as caught:
        check_fresh("timm:x", {"pos_embed": (1, 197, 64), "head.bias": (7,)}, 7)
    assert "pretrained: false" in caught.value.fix


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"name": "resnet9"}, "did you mean resnet8"),
        ({"name": "jax:resnet"}, "pattern"),
        ({"name": "timm:"}, "pattern"),
        ({"name": "resnet8", "pretrained": True}, "timm:, torchvision:, huggingface: and keras:"),
        ({"name": "timm:x", "width": 0.5}, "networks of the zoo"),
    ],
)
def test_settings_that_make_no_sense(raw, message):
    with pytest.raises(ConfigError, match=message):
        validate(ModelSettings, raw)


def test_missing_library_names_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StageError, match="timm is not installed") as caught:
        require("timm")
    assert caught.value.fix == "pip install timm"


def test_library_that_does_not_import_says_why(monkeypatch):
    def fails(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("importlib.import_module", fails)
    with pytest.raises(StageError, match="nms does not exist"):
        require("torchvision")


def test_rows_and_odd_channels_are_refused():
    row = InputSpec(kind="row", shape=(4,), mean=(0.0,) * 4, std=(1.0,) * 4)
    with pytest.raises(StageError, match="kind row"):
        build(ModelSettings(name="timm:x"), row, 2)
    two = pictures(2)
    with pytest.raises(StageError, match="have 2 channels"):
        build(ModelSettings(name="timm:x", pretrained=True), two, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A ResNet of transformers with random weights and a normalisation of its own."""
    if NO_TRANSFORMERS is not None:
        pytest.skip(NO_TRANSFORMERS)
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=4
    )
    path = tmp_path_factory.mktemp("hub") / "tiny"
    ResNetForImageClassification(config).eval().save_pretrained(path)
    told = {"image_mean": MEAN, "image_std": STD, "do_normalize": True, "rescale_factor": 1 / 255}
    (path / "preprocessor_config.json").write_text(json.dumps(told))
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_huggingface_folder_answers_as_the_library_does(folder, channels):
    from transformers import ResNetForImageClassification

    spec = pictures(channels)
    settings = ModelSettings(name="huggingface:./tiny", pretrained=True)
    model = build(settings, spec, 4, folder.parent).eval()
    raw = raw_pictures(spec)
    pixels = np.broadcast_to(raw / 255, (5, 3, 16, 16))
    pixels = (pixels - np.reshape(MEAN, (1, 3, 1, 1))) / np.reshape(STD, (1, 3, 1, 1))
    reference = ResNetForImageClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = reference(torch.from_numpy(pixels).float()).logits
        got = model(torch.from_numpy(spec.normalise(raw)))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_other_classes_give_a_fresh_classifier_and_keep_the_rest(folder):
    settings = ModelSettings(name="huggingface:./tiny", pretrained=True)
    model = build(settings, pictures(), 7, folder.parent).eval()
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 7)
    kept = build(settings, pictures(), 4, folder.parent).state_dict()
    own = model.state_dict()
    changed = [k for k in own if own[k].shape != kept[k].shape]
    assert changed == ["network.classifier.1.weight", "network.classifier.1.bias"]
    assert [k for k in own if k not in changed and not torch.equal(own[k], kept[k])] == []


def test_saved_network_is_loaded_without_the_folder(folder, tmp_path, monkeypatch):
    spec = pictures(1)
    settings = ModelSettings(name="huggingface:./tiny", pretrained=True)
    model = build(settings, spec, 4, folder.parent).eval()
    labels = ("a", "b", "c", "d")
    save(model, settings, ModelSpec(name="tiny", input=spec, labels=labels), tmp_path / "saved")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    again = load(tmp_path / "saved", tmp_path).model
    x = torch.randn(3, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))


def test_fresh_network_takes_the_datas_channels_and_size(folder):
    model = build(ModelSettings(name="huggingface:./tiny"), pictures(2), 5, folder.parent)
    assert model(torch.zeros(2, 2, 16, 16)).shape == (2, 5)
    assert isinstance(model.normalise, nn.Identity)


def test_folder_without_preprocessor_is_refused(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "tiny")
    (tmp_path / "tiny" / "preprocessor_config.json").unlink()
    with pytest.raises(StageError) as caught:
        build(ModelSettings(name="huggingface:./tiny", pretrained=True), pictures(), 4, tmp_path)
    assert "preprocessor_config.json" in caught.value.fix


def test_pickled_weights_are_not_read(folder, tmp_path):
    (tmp_path / "tiny").mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / "tiny" / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "tiny" / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(StageError) as caught:
        build(ModelSettings(name="huggingface:./tiny", pretrained=True), pictures(), 4, tmp_path)
    assert "safetensors" in caught.value.fix


def test_folder_stays_inside_the_pipelines(folder, tmp_path):
    with pytest.raises(StageError, match="leads out"):
        build(ModelSettings(name="huggingface:../tiny"), pictures(), 4, tmp_path)
    with pytest.raises(StageError, match="no folder"):
        build(ModelSettings(name="huggingface:./nothing"), pictures(), 4, tmp_path)


def test_key_tells_weights_and_version(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "tiny")
    settings = ModelSettings(name="huggingface:./tiny")
    before = library_source(settings, tmp_path)
    assert before == library_source(settings, folder.parent)
    assert before["transformers"] == importlib.import_module("transformers").__version__
    (tmp_path / "tiny" / "model.safetensors").write_bytes(b"other")
    assert library_source(settings, tmp_path) != before


@needs_transformers
def test_spectrogram_transformer_takes_sounds(tmp_path):
    from transformers import ASTConfig

    config = ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        patch_size=4, frequency_stride=4, time_stride=4, max_length=12, num_mel_bins=8,
    )  # fmt: skip
    config.save_pretrained(tmp_path / "tiny")
    spec = InputSpec(kind="audio", shape=(1, 16, 12), mean=(0.0,), std=(1.0,))
    model = build(ModelSettings(name="huggingface:./tiny"), spec, 3, tmp_path)
    assert model(torch.randn(2, 1, 16, 12)).shape == (2, 3)
    with pytest.raises(StageError, match="image classifiers"):
        build(ModelSettings(name="huggingface:./tiny"), pictures(), 3, tmp_path)


@needs_timm
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_timm_network(channels, tmp_path):
    spec = pictures(channels, 32)
    settings = ModelSettings(name="timm:mobilenetv3_small_050")
    model = build(settings, spec, 6).eval()
    x = torch.randn(2, channels, 32, 32)
    save(model, settings, ModelSpec(name="t", input=spec, labels=tuple("abcdef")), tmp_path)
    with torch.no_grad():
        assert torch.equal(load(tmp_path).model(x), model(x))


@needs_timm
def test_timm_weights_see_what_they_were_trained_on(tmp_path):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    reference = timm.create_model("mobilenetv1_100", num_classes=4).eval()
    save_file(reference.state_dict(), tmp_path / "w.safetensors")
    overlay = {"file": str(tmp_path / "w.safetensors"), "num_classes": 4}
    settings = ModelSettings(
        name="timm:mobilenetv1_100", pretrained=True, arguments={"pretrained_cfg_overlay": overlay}
    )
    spec = pictures(3, 32)
    model = build(settings, spec, 4).eval()
    raw = raw_pictures(spec)
    with torch.no_grad():
        wanted = reference(torch.from_numpy(raw / 255 - 0.5) / 0.5)
        torch.testing.assert_close(
            model(torch.from_numpy(spec.normalise(raw))), wanted, atol=1e-4, rtol=1e-3
        )


@needs_timm
def test_timm_name_that_does_not_exist():
    with pytest.raises(StageError, match="no network") as caught:
        build(ModelSettings(name="timm:mobilenetv3_smal_050"), pictures(), 3)
    assert "mobilenetv3_small_050" in caught.value.fix


@needs_torchvision
@pytest.mark.parametrize("channels", [1, 3])
def test_torchvision_network(channels, tmp_path):
    spec = pictures(channels, 32)
    settings = ModelSettings(name="torchvision:mobilenet_v3_small")
    model = build(settings, spec, 6).eval()
    x = torch.randn(2, channels, 32, 32)
    save(model, settings, ModelSpec(name="t", input=spec, labels=tuple("abcdef")), tmp_path)
    with torch.no_grad():
        assert torch.equal(load(tmp_path).model(x), model(x))


@needs_torchvision
def test_torchvision_weights_see_what_they_were_trained_on(tmp_path):
    from safetensors.torch import save_file
    from torchvision.models import resnet18

    torch.manual_seed(0)
    reference = resnet18().eval()
    stored = reference.state_dict()
    save_file(stored, tmp_path / "w.safetensors")
    spec = pictures(3, 32)
    settings = ModelSettings(name="torchvision:resnet18", pretrained="w.safetensors")
    model = build(settings, spec, 1000, tmp_path).eval()
    raw = raw_pictures(spec)
    pixels = (raw / 255 - np.reshape(MEAN, (1, 3, 1, 1))) / np.reshape(STD, (1, 3, 1, 1))
    with torch.no_grad():
        wanted = reference(torch.from_numpy(pixels).float())
        torch.testing.assert_close(
            model(torch.from_numpy(spec.normalise(raw))), wanted, atol=1e-4, rtol=1e-3
        )
    other = build(settings, spec, 5, tmp_path).network.state_dict()
    assert all(torch.equal(other[k], v) for k, v in stored.items() if not k.startswith("fc."))


@needs_torchvision
def test_pickled_torchvision_weights_are_refused(monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(StageError, match="no pickles") as caught:
        build(ModelSettings(name="torchvision:resnet18", pretrained=True), pictures(3, 32), 5)
    assert "get_model('resnet18', weights='DEFAULT')" in caught.value.fix
    assert "pretrained: weights.safetensors" in caught.value.fix
    assert "timm:resnet18.tv_in1k" in caught.value.fix


@needs_timm
@pytest.mark.parametrize("overlay", ["pickle", "file name", "no file"])
def test_pickled_timm_weights_are_refused(overlay, tmp_path, monkeypatch):
    from timm.models import _registry

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    name, arguments = "mobilenetv1_100", {}
    if overlay == "pickle":
        torch.save({}, tmp_path / "w.pth")
        arguments = {"pretrained_cfg_overlay": {"file": str(tmp_path / "w.pth")}}
    else:
        changed = {"hf_hub_id": None} if overlay == "no file" else {"hf_hub_filename": "w.bin"}
        told = dataclasses.replace(_registry.get_pretrained_cfg(name), **changed)
        monkeypatch.setattr("timm.get_pretrained_cfg", lambda _: told)
    settings = ModelSettings(name=f"timm:{name}", pretrained=True, arguments=arguments)
    with pytest.raises(StageError, match="no pickles") as caught:
        build(settings, pictures(3, 32), 4)
    assert "save_file" in caught.value.fix


@needs_timm
def test_timm_weights_of_a_file(tmp_path):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    reference = timm.create_model("mobilenetv1_100", num_classes=4)
    save_file(reference.state_dict(), tmp_path / "w.safetensors")
    settings = ModelSettings(name="timm:mobilenetv1_100", pretrained="w.safetensors")
    stored = build(settings, pictures(3, 32), 4, tmp_path).network.state_dict()
    kept = {k: v for k, v in reference.state_dict().items() if not k.startswith("classifier.")}
    assert all(torch.equal(stored[k], v) for k, v in kept.items())


def test_the_weights_file_is_checked(tmp_path):
    with pytest.raises(ValueError, match="unpickles none"):
        ModelSettings(name="timm:x", pretrained="w.pth")
    settings = ModelSettings(name="timm:x", pretrained="w.safetensors")
    with pytest.raises(StageError, match="no file"):
        weights_file(settings, tmp_path)
    with pytest.raises(StageError, match="leads out"):
        weights_file(ModelSettings(name="timm:x", pretrained="../w.safetensors"), tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"\x80\x04K\x01.")  # a pickle under another name
    with pytest.raises(StageError, match="not a readable"):
        read_weights(tmp_path / "w.safetensors", "timm:x")
    first = library_source(settings, tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"other")
    assert library_source(settings, tmp_path) != first
