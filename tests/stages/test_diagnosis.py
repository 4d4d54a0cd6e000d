"""`edgekd diagnose` as a user types it, and `keep_float: auto`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from typer.testing import CliRunner

from edgekd.cli import app
from edgekd.compress.quantize import calibrate, prepare_ptq, save
from edgekd.config.stages import ModelSettings, QuantizeSettings
from edgekd.data import dataset
from edgekd.data.dataset import Dataset, Split
from edgekd.errors import ConfigError, DataError
from edgekd.models import saved
from edgekd.models.build import build
from edgekd.progress import Progress
from edgekd.spec import InputSpec
from edgekd.stages.diagnosis import LEAST, MOST, affordable, diagnose_folder
from edgekd.stages.keep_float import worst_that_pay
from edgekd.store import write_json

SPEC = InputSpec(kind="row", shape=(8,), mean=(0.0,) * 8, std=(1.0,) * 8)


def data_of(net: nn.Module) -> Dataset:
    """Noise, and as its classes what the network says: in float it is always right."""
    splits = []
    for seed, count in enumerate((256, 512, 32)):
        x = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
        with torch.no_grad():
            splits.append(Split(x, net(torch.from_numpy(x)).argmax(1).numpy()))
    return Dataset("noise", *splits, SPEC, tuple("abcd"), "0" * 64)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with the artefacts that matter: data and a network after post-training
    quantization."""
    torch.manual_seed(0)
    settings = ModelSettings.model_validate({"name": "mlp", "width": 0.25})
    net = build(settings, SPEC, 4).eval()
    data = data_of(net)
    folder = tmp_path_factory.mktemp("runs") / "noise"
    dataset.save(data, folder / "data-abc")
    artefact = folder / "quantize-def"
    artefact.mkdir()
    x = torch.from_numpy(data.train.x)
    prepared = prepare_ptq(net, x[:4])
    calibrate(prepared, [x])
    save(prepared, artefact)
    saved.save(net, settings, data.model_spec("mlp"), artefact / "float")
    write_json(artefact / "manifest.json", {"inputs": {"data": "abc"}})
    return folder


def command(*words: object):
    return CliRunner().invoke(app, ["diagnose", *map(str, words)])


def test_the_command_prints_a_table_and_draws_it(run, tmp_path):
    picture = tmp_path / "layers.svg"
    done = command(run, "--samples", 40, "-o", picture)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines() if "%" in line]
    assert [line[1] for line in lines].count("linear") >= 2
    shares = [float(line[5 if line[3] == "dB" else 4].strip("%")) for line in lines]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert "40 samples" in done.stdout
    text = picture.read_text()
    assert "share of the final error" in text
    assert all(line[0] in text for line in lines)


def test_the_artefact_and_a_file_of_samples_do_as_well(run, tmp_path):
    x = dataset.load(run / "data-abc").validation.x[:64]
    np.savez(tmp_path / "x.npz", x=x)
    picture = tmp_path / "layers.png"
    done = command(run / "quantize-def", "--data", tmp_path / "x.npz", "-o", picture, "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    found = diagnose_folder(run, samples=64)
    assert [row["name"] for row in rows] == [layer.name for layer in found.layers]
    assert [row["share"] for row in rows] == [layer.share for layer in found.layers]
    assert rows[0]["samples"] == found.samples == 64
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_bad_input_is_told_before_anything_is_computed(run, tmp_path):
    with pytest.raises(ConfigError, match="no quantized network") as error:
        diagnose_folder(run / "data-abc")
    assert "runs/NAME/quantize-KEY" in error.value.fix
    alone = tmp_path / "quantize-def"
    shutil.copytree(run / "quantize-def", alone)
    with pytest.raises(ConfigError, match="not beside it") as error:
        diagnose_folder(alone)
    assert "--data" in error.value.fix
    np.savez(tmp_path / "wrong.npz", x=np.zeros((3, 5), np.float32))
    with pytest.raises(DataError, match=r"8"):
        diagnose_folder(alone, tmp_path / "wrong.npz")
    np.savez(tmp_path / "empty.npz", z=np.zeros(3))
    with pytest.raises(DataError, match="no array x"):
        diagnose_folder(alone, tmp_path / "empty.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="cannot be read"):
        diagnose_folder(alone, tmp_path / "broken.npz")
    with pytest.raises(ConfigError, match=r"\.svg, \.png or \.pdf"):
        CliRunner().invoke(
            app, ["diagnose", str(run), "-o", str(tmp_path / "a.txt")], catch_exceptions=False
        )


class Heard(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def network(dwarfing: float) -> nn.Sequential:
    """One channel of the middle layer is so much larger than the others; the last layer makes up
    for it, so that in float nothing changes."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        net[2].weight[3] *= dwarfing
        net[4].weight[:, 3] /= dwarfing
    return net.eval()


def chosen(net: nn.Module, allow: int = 2) -> tuple[tuple[str, ...], list[str]]:
    data, heard = data_of(net), Heard()
    settings = QuantizeSettings(mode="ptq", keep_float="auto", allow=allow)
    calibration = list(torch.from_numpy(data.train.x).split(64))
    kept = worst_that_pay(net, calibration, data, settings=settings, macs=500, progress=heard)
    return kept, heard.said


def test_auto_keeps_both_sides_of_a_tensor_that_int8_ruins():
    """The layer alone does not pay, because what it gives is rounded on the way to the next."""
    kept, said = chosen(network(dwarfing=300))
    assert kept == ("2", "4")
    assert said[0].startswith("2 in float")
    assert "not kept" in said[0]
    assert said[1].startswith("2, 4 in float: +")
    assert said[1].endswith(", kept")


def test_auto_keeps_nothing_within_chance_and_never_more_than_allowed():
    assert chosen(network(dwarfing=1))[0] == ()
    kept, said = chosen(network(dwarfing=300), allow=1)
    assert kept == ()
    assert len(said) == 1


def test_settings_of_auto():
    assert QuantizeSettings(keep_float="auto").named_float == ()
    assert QuantizeSettings(keep_float=("a.*",)).named_float == ("a.*",)
    with pytest.raises(ValidationError, match="belongs to `keep_float: auto`"):
        QuantizeSettings(allow=3)
    with pytest.raises(ValidationError):
        QuantizeSettings.model_validate({"keep_float": "always"})


def test_a_run_takes_fewer_samples_of_a_larger_network():
    net = network(dwarfing=1)
    x = torch.zeros(4, 8)
    prepared = prepare_ptq(net, x)
    layers = 4
    assert affordable(prepared, 500) == MOST
    assert affordable(prepared, 10**12) == LEAST
    middle = 5 * 10**7
    assert affordable(prepared, middle) == round(1.5e10 / (middle * (2 + layers / 2)))
