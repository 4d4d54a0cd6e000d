"""Saving, loading, pruned networks, other people's weights, and broken files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
import torch_pruning as tp
from safetensors.torch import load_file, save_file
from torch import nn

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.build import build, names
from edgekd.models.count import macs, parameters
from edgekd.models.saved import load, load_weights, save
from edgekd.spec import InputSpec, ModelSpec

SPEC = InputSpec(kind="image", shape=(3, 16, 16), mean=(1, 2, 3), std=(4, 5, 6), peak=255)
MODEL_SPEC = ModelSpec(name="test", input=SPEC, labels=("a", "b", "c"))
X = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
GROUPED = """
from torch import nn

def net(spec, classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=True), nn.GroupNorm(1, 16) if {norm} else nn.BatchNorm2d(16),
        nn.ReLU(), nn.Conv2d(16, 32, 3, groups=4), nn.BatchNorm2d(32, affine=False), nn.ReLU(),
        nn.Conv2d(32, 64, 3, groups=32), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(64, classes, bias=False),
    )
"""


def trained(settings: ModelSettings, base: Path | None = None) -> nn.Module:
    """A network whose batch norms have seen something, so that nothing is at its default."""
    torch.manual_seed(1)
    model = build(settings, SPEC, 3, base)
    for _ in range(2):
        model(X * 2 + 1)
    for parameter in model.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    return model.eval()


def test_a_model_saved_before_there_were_tasks_is_a_classifier(tmp_path: Path) -> None:
    settings = ModelSettings(name="mlp")
    save(trained(settings), settings, MODEL_SPEC, tmp_path)
    path = tmp_path / "model.json"
    raw = json.loads(path.read_text())
    for field in ("task", "target_mean", "target_std"):
        del raw["spec"][field]
    path.write_text(json.dumps(raw))
    assert load(tmp_path).spec == MODEL_SPEC


def prune(model: nn.Module, share: float, *, ignore: list[nn.Module]) -> nn.Module:
    pruner = tp.pruner.MetaPruner(
        model,
        X[:1],
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=share,
        ignored_layers=ignore,
        round_to=8,
    )
    pruner.step()
    return model.eval()


@pytest.mark.parametrize("name", [name for name in names() if name not in ("tablemlp", "cnn1d")])
def test_saved_network_answers_bit_for_bit(tmp_path, name):
    settings = ModelSettings(name=name, width=0.5)
    model = trained(settings)
    save(model, settings, MODEL_SPEC, tmp_path / "new" / "folder")
    back = load(tmp_path / "new" / "folder")
    assert (back.settings, back.spec, back.pruned) == (settings, MODEL_SPEC, ())
    assert not back.model.training
    assert torch.equal(back.model(X), model(X))
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize("name", ["resnet20", "resnet8", "dscnn", "mlp"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_pruned_network_comes_back_bit_for_bit(tmp_path, name, share):
    settings = ModelSettings(name=name)
    model = trained(settings)
    before = macs(model, SPEC)
    prune(model, share, ignore=[model.classifier])
    assert macs(model, SPEC) < 0.9 * before
    save(model, settings, MODEL_SPEC, tmp_path)
    back = load(tmp_path)
    assert torch.equal(back.model(X), model(X))
    assert (parameters(back.model), macs(back.model, SPEC)) == (
        parameters(model),
        macs(model, SPEC),
    )
    for (layer_name, layer), (_, own) in zip(
        back.model.named_modules(), model.named_modules(), strict=True
    ):
        assert repr(layer) == repr(own), layer_name
    fresh = dict(build(settings, SPEC, 3).named_modules())
    smaller = [n for n, m in model.named_modules() if n and not list(m.children())]
    assert list(back.pruned) == [
        n for n in smaller if repr(fresh[n]) != repr(dict(model.named_modules())[n])
    ]
    assert back.pruned


def test_pruned_network_can_be_trained_and_saved_again(tmp_path):
    settings = ModelSettings(name="dscnn")
    model = trained(settings)
    save(prune(model, 0.5, ignore=[model.classifier]), settings, MODEL_SPEC, tmp_path / "a")
    back = load(tmp_path / "a").model.train()
    optimizer = torch.optim.SGD(back.parameters(), 0.1)
    nn.functional.cross_entropy(back(X), torch.tensor([0, 1, 2] * 2)).backward()
    optimizer.step()
    save(back, settings, MODEL_SPEC, tmp_path / "b")
    assert torch.equal(load(tmp_path / "b").model(X), back.eval()(X))


def test_own_network_with_groups_is_pruned_and_loaded(tmp_path):
    (tmp_path / "net.py").write_text(GROUPED.format(norm=False))
    settings = ModelSettings(python="net.py:net")
    model = trained(settings, tmp_path)
    keep = slice(0, 24)  # 6 channels of each of 4 groups, then 24 depthwise groups of 2
    model[3].weight.data, model[3].bias.data = (
        t.unflatten(0, (4, 8))[:, :6].flatten(0, 1) for t in (model[3].weight, model[3].bias)
    )
    model[3].out_channels = model[4].num_features = 24
    model[4].running_mean, model[4].running_var = (
        model[4].running_mean[keep],
        model[4].running_var[keep],
    )
    model[6].weight.data, model[6].bias.data = model[6].weight[:48], model[6].bias[:48]
    model[6].in_channels = model[6].groups = 24
    model[6].out_channels = 48
    model[9].weight.data = model[9].weight[:, :48]
    model[9].in_features = 48
    save(model, settings, MODEL_SPEC, tmp_path / "saved")
    back = load(tmp_path / "saved", tmp_path)
    assert back.pruned == ("3", "4", "6", "9")
    assert torch.equal(back.model(X), model(X))


def test_loading_leaves_the_random_state_alone(tmp_path):
    settings = ModelSettings(name="mlp")
    save(trained(settings), settings, MODEL_SPEC, tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load(tmp_path)
    assert torch.equal(torch.rand(2), expected)


def test_channels_last_and_tied_weights_are_saved(tmp_path):
    settings = ModelSettings(name="resnet8")
    model = trained(settings).to(memory_format=torch.channels_last)
    model.stages[0][0].first.conv.weight = model.stages[0][0].second.conv.weight
    save(model, settings, MODEL_SPEC, tmp_path)
    back = load(tmp_path).model
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name


@pytest.fixture
def saved(tmp_path) -> Path:
    settings = ModelSettings(name="dscnn", width=0.25)
    save(trained(settings), settings, MODEL_SPEC, tmp_path)
    return tmp_path


def edit_tensors(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def drop(tensors):
    del tensors["blocks.1.depthwise.bn.bias"]


def add(tensors):
    tensors["extra.weight"] = torch.zeros(3)


def grow(tensors):
    tensors["classifier.weight"] = torch.zeros(3, 999)


def other_kernel(tensors):
    tensors["stem.conv.weight"] = torch.zeros(16, 3, 1, 1)


def other_rank(tensors):
    tensors["stem.bn.weight"] = torch.zeros(16, 1)


def uneven(tensors):
    tensors["blocks.2.pointwise.bn.weight"] = torch.ones(8)


def no_channels(tensors):
    tensors["stem.conv.weight"] = torch.zeros(0, 3, 3, 3)


def one_layer_only(tensors):
    tensors["stem.conv.weight"] = torch.zeros(8, 3, 3, 3)


def fewer_classes(tensors):
    tensors["classifier.weight"] = torch.zeros(2, 16)
    tensors["classifier.bias"] = torch.zeros(2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (drop, "lacks blocks.1.depthwise.bn.bias"),
        (add, "has extra.weight, which the network does not know"),
        (grow, r"layer classifier do not fit the network: weight \(3, 999\) for \(3, 16\)"),
        (other_kernel, "layer stem.conv do not fit"),
        (other_rank, "layer stem.bn do not fit"),
        (uneven, "layer blocks.2.pointwise.bn do not fit"),
        (no_channels, "layer stem.conv do not fit"),
        (one_layer_only, "layer stem.bn fails"),
        (fewer_classes, r"answers one sample with \(1, 2\), and not with \(1, 3\)"),
    ],
)
def test_wrong_tensors_name_the_layer(saved, change, what):
    edit_tensors(saved, change)
    with pytest.raises(StageError, match=what) as caught:
        load(saved)
    assert str(saved / "model.safetensors") in caught.value.where


def test_layer_that_nobody_can_cut_is_named(tmp_path):
    (tmp_path / "net.py").write_text(GROUPED.format(norm=True))
    settings = ModelSettings(python="net.py:net")
    save(trained(settings, tmp_path), settings, MODEL_SPEC, tmp_path / "saved")
    load(tmp_path / "saved", tmp_path)
    edit_tensors(tmp_path / "saved", lambda tensors: tensors.update({"1.bias": torch.zeros(8)}))
    with pytest.raises(StageError, match="layer 1 do not fit"):
        load(tmp_path / "saved", tmp_path)


def test_missing_and_broken_files(saved):
    with pytest.raises(StageError, match="not a saved model"):
        load(saved / "nowhere")
    weights = (saved / "model.safetensors").read_bytes()
    for content in (weights[:-5], weights[:4], b"", pickle.dumps({"a": 1})):
        (saved / "model.safetensors").write_bytes(content)
        with pytest.raises(StageError, match="not a safetensors file"):
            load(saved)
    (saved / "model.safetensors").unlink()
    with pytest.raises(StageError, match="no such weights file"):
        load(saved)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format_version": 2}', "\x00"])
def test_broken_description(saved, content):
    (saved / "model.json").write_text(content)
    with pytest.raises(StageError, match="not a saved model"):
        load(saved)


def test_description_of_unknown_fields_is_refused(saved):
    raw = json.loads((saved / "model.json").read_text())
    raw["settings"]["depth"] = 3
    (saved / "model.json").write_text(json.dumps(raw))
    with pytest.raises(StageError, match="not a saved model") as caught:
        load(saved)
    assert "depth" in caught.value.where


def test_weights_of_other_classes_leave_the_classifier_fresh(saved):
    torch.manual_seed(5)
    model = build(ModelSettings(name="dscnn", width=0.25), SPEC, 7)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert load_weights(model, saved) == ["classifier.weight", "classifier.bias"]
    stored = load_file(saved / "model.safetensors")
    for name, tensor in model.state_dict().items():
        expected = before if name.startswith("classifier") else stored
        assert torch.equal(tensor, expected[name]), name


def test_all_weights_from_a_file(saved):
    model = build(ModelSettings(name="dscnn", width=0.25), SPEC, 3)
    assert load_weights(model, saved / "model.safetensors") == []
    assert torch.equal(model.eval()(X), load(saved).model(X))


def test_weights_without_counters_and_with_strangers(saved, tmp_path):
    stored = load_file(saved / "model.safetensors")
    some = {k: v for k, v in stored.items() if not k.endswith("num_batches_tracked")}
    del some["stem.conv.weight"]
    save_file(some | {"stranger": torch.ones(2)}, tmp_path / "w.safetensors")
    model = build(ModelSettings(name="dscnn", width=0.25), SPEC, 3)
    assert load_weights(model, tmp_path / "w.safetensors") == ["stem.conv.weight"]


def test_weights_of_another_network_are_refused(saved):
    """Only batch normalisation's counters are alike, and they are no weights."""
    model = build(ModelSettings(name="dscnn", width=2), SPEC, 5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(StageError, match="No tensor of these weights fits") as caught:
        load_weights(model, saved)
    assert "classifier" in caught.value.where or "stem.conv.weight" in caught.value.where
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_pickles_are_never_opened(tmp_path, suffix):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / f"weights{suffix}"
    path.write_bytes(pickle.dumps(Trap()))
    model = build(ModelSettings(name="mlp"), SPEC, 3)
    with pytest.raises(StageError, match="is a pickle") as caught:
        load_weights(model, path)
    assert not (tmp_path / "ran").exists()
    assert "weights.safetensors" in caught.value.fix


def test_the_conversion_that_the_error_gives_works(tmp_path, monkeypatch):
    model = trained(ModelSettings(name="mlp"))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = build(ModelSettings(name="mlp"), SPEC, 3)
    with pytest.raises(StageError) as caught:
        load_weights(other, tmp_path / "weights.pt")
    monkeypatch.chdir(tmp_path)
    exec(caught.value.fix.split(": ", 1)[1])
    assert load_weights(other, tmp_path / "weights.safetensors") == []
    assert torch.equal(other.eval()(X), model(X))


def test_missing_weights(tmp_path):
    model = build(ModelSettings(name="mlp"), SPEC, 3)
    for path in (tmp_path / "no.safetensors", tmp_path):
        with pytest.raises(StageError, match="no such weights file"):
            load_weights(model, path)
