"""Baked preprocessing: raw numbers in and probabilities out, in both formats."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from scipy.io import wavfile
from torch import nn

from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.export.baked import as_pixels, comparable
from edgekd.export.log_mel import LogMel, made_up_recordings
from edgekd.export.onnx_file import export_onnx
from edgekd.export.tflite_file import export_tflite
from edgekd.runtimes import load
from edgekd.runtimes.predict import predict
from edgekd.spec import InputSpec, ModelSpec, NamedInputs, SoundSpec
from edgekd.stages.export_files import Variant
from edgekd.stages.export_recordings import write_for_recordings

PICTURE = InputSpec(
    kind="image", shape=(3, 6, 6), mean=(90.0, 100.0, 110.0), std=(50.0, 60.0, 70.0), peak=255.0
)
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, network):
    """The picture network in both formats and precisions."""
    folder = tmp_path_factory.mktemp("baked")
    spec = ModelSpec(name="p", input=PICTURE, labels=tuple("abcd"))
    x = torch.from_numpy(PICTURE.normalise(np.moveaxis(PIXELS, -1, 1)))
    prepared = prepare_ptq(network, x[:2])
    calibrate(prepared, [x])
    modules = {
        ("onnx", "float32"): network,
        ("tflite", "float32"): network,
        ("onnx", "int8"): convert(prepared, fold=True),
        ("tflite", "int8"): convert(prepared, fold=False),
    }
    for (form, precision), module in modules.items():
        export = export_onnx if form == "onnx" else export_tflite
        export(module, spec, folder / f"{precision}.{form}", precision=precision, baked=True)
    with torch.no_grad():
        answers = {p: modules["onnx", p](x).numpy() for p in ("float32", "int8")}
    return folder, answers


def softmax(y: np.ndarray) -> np.ndarray:
    powers = np.exp(y.astype(np.float64))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_pixels_go_in_and_probabilities_come_out_of_the_runtimes_themselves(folder, precision):
    path, answers = folder
    wanted = softmax(answers[precision])
    options = onnxruntime.SessionOptions()  # right without VNNI, too; see docs/export.md
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path / f"{precision}.onnx"), options)
    (source,) = session.get_inputs()
    assert source.type == "tensor(uint8)" and source.shape[1:] == [6, 6, 3]
    (by_onnx,) = session.run(["probabilities"], {source.name: PIXELS})
    run = Interpreter(str(path / f"{precision}.tflite")).get_signature_runner()
    by_tflite = np.concatenate([run(input=one[None])["probabilities"] for one in PIXELS])
    assert by_onnx.dtype == by_tflite.dtype == np.float32
    for got in (np.asarray(by_onnx), by_tflite):
        np.testing.assert_allclose(got.sum(1), 1, atol=1e-5)
        if precision == "float32":
            np.testing.assert_allclose(got, wanted, atol=1e-5)
        else:  # a rounding that is a tie moves an input by a step
            assert (np.abs(got - wanted) < 1 / 255).mean() > 0.99


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_the_file_says_so_and_is_fed_accordingly(folder, network, form):
    path, answers = folder
    runtime = load(path / f"float32.{form}")
    told = runtime.describe()
    assert told.preprocess == "baked" and told.layout == "NHWC"
    x = PICTURE.normalise(np.moveaxis(PIXELS, -1, 1))
    got, wanted = runtime.run(x), answers["float32"]
    np.testing.assert_allclose(softmax(got), softmax(wanted), atol=1e-5)
    np.testing.assert_allclose(np.diff(got, axis=1), np.diff(wanted, axis=1), atol=1e-3)
    np.testing.assert_allclose(comparable(wanted, told.model), softmax(wanted), atol=1e-12)


def test_int8_stays_int8_inside(folder):
    import onnx

    path, _ = folder
    graph = onnx.load(str(path / "int8.onnx")).graph
    weights = [i for i in graph.initializer if i.data_type == onnx.TensorProto.INT8]
    assert sum(len(weight.dims) > 1 for weight in weights) == 2
    assert (path / "int8.tflite").stat().st_size < (path / "float32.tflite").stat().st_size


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.codes, self.head = nn.Embedding(4, 3), nn.Linear(5, 2)

    def forward(self, numbers, codes):
        return self.head(torch.cat([numbers, self.codes(codes).flatten(1)], 1))


@pytest.mark.parametrize("task", ["regression", "multilabel"])
@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_tables_take_raw_numbers_and_codes(tmp_path, task, form):
    parts = (
        InputSpec(name="numbers", kind="row", shape=(2,), mean=(5.0, -3.0), std=(2.0, 0.5)),
        InputSpec(name="codes", kind="codes", shape=(1,), vocabulary=(("a", "b", "c"),)),
    )
    regression = {"target_mean": (10.0, 20.0), "target_std": (2.0, 4.0)}
    extra = regression if task == "regression" else {}
    spec = ModelSpec(
        name="t", input=NamedInputs(inputs=parts), labels=("u", "v"), task=task, **extra
    )
    torch.manual_seed(0)
    model = Named().eval()
    export = export_onnx if form == "onnx" else export_tflite
    path = tmp_path / f"t.{form}"
    export(model, spec, path, precision="float32", baked=True)
    generator = np.random.default_rng(0)
    raw = {
        "numbers": (generator.standard_normal((9, 2)) * 3 + 4).astype(np.float32),
        "codes": generator.integers(0, 4, (9, 1)).astype(np.int32),
    }
    x = spec.input.normalise(raw)
    with torch.no_grad():
        wanted = model(*map(torch.from_numpy, x.values())).numpy()
    runtime = load(path)
    np.testing.assert_allclose(runtime.run(x), wanted, atol=1e-4)
    if form == "onnx":
        session = onnxruntime.InferenceSession(str(path))
        (output,) = session.get_outputs()
        (got,) = session.run([output.name], raw)
        shown = wanted * [2, 4] + [10, 20] if task == "regression" else 1 / (1 + np.exp(-wanted))
        np.testing.assert_allclose(got, shown, atol=1e-4)


def test_pictures_of_another_scale_are_seen_in_steps_of_a_pixel():
    spec = InputSpec(kind="image", shape=(1, 1, 3), mean=(4.0,), std=(6.0,), peak=16.0)
    raw = np.array([[[[0.0, 8.0, 16.0]]]], np.float32)
    seen = as_pixels(raw, spec)
    np.testing.assert_allclose(seen * 255 / 16, [[[[0, 128, 255]]]], atol=1e-4)


SOUND = SoundSpec(rate=8000, samples=4000, window=256, hop=128, mels=20, low_hz=50, high_hz=4000)


def test_log_mel_as_a_convolution_is_that_of_the_fourier_transform():
    recordings, wanted = made_up_recordings(SOUND, 6)
    got = LogMel(SOUND)(torch.from_numpy(recordings)).numpy()
    assert got.shape == wanted.shape == (6, 1, SOUND.frames, 20)
    assert wanted[0].max() < -20 < wanted[1:].max(), "silence, and sounds"
    np.testing.assert_allclose(got, wanted, atol=1e-3)


def test_files_for_recordings_answer_as_the_network_on_features(tmp_path):
    mean, std = (-9.0,), (4.0,)
    shape = (1, SOUND.frames, SOUND.mels)
    source = InputSpec(kind="audio", shape=shape, mean=mean, std=std, sound=SOUND)
    spec = ModelSpec(name="s", input=source, labels=("a", "b", "c"))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    network = nn.Sequential(network, nn.Flatten(), nn.Linear(8, 3)).eval()
    _, features = made_up_recordings(SOUND, 32)
    x = torch.from_numpy(source.normalise(features))
    prepared = prepare_ptq(network, x[:2])
    calibrate(prepared, [x])
    modules = {"onnx": convert(prepared, fold=True), "tflite": convert(prepared, fold=False)}
    formats = ("onnx", "tflite")
    found = write_for_recordings(
        tmp_path, "s-int8", spec, Variant("int8", modules, modules["onnx"], network), formats
    )
    assert [pair.split("/")[1] for pair in found] == ["s-int8-baked.onnx", "s-int8-baked.tflite"]
    assert all(each.agreement == 1 for each in found.values())
    run = Interpreter(str(tmp_path / "s-int8-baked.tflite")).get_signature_runner()
    told = load(tmp_path / "s-int8-baked.tflite").describe()
    assert told.preprocess == "baked" and told.model.input.sound == SOUND
    (answer,) = run(input=np.zeros((1, 4000), np.float32))["probabilities"]
    assert abs(answer.sum() - 1) < 1e-5
    # a recording of another rate and length, asked about with both kinds of files
    export_onnx(network, spec, tmp_path / "features.onnx", precision="float32")
    export_onnx(network, spec, tmp_path / "baked.onnx", precision="float32", baked=True)
    time = np.arange(9000) / 16000
    wave = (12000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    wavfile.write(tmp_path / "a.wav", 16000, wave)
    told = [predict(tmp_path / f"{n}.onnx", [tmp_path / "a.wav"]) for n in ("features", "baked")]
    assert told[0][0].label == told[1][0].label
    assert abs(told[0][0].probability - told[1][0].probability) < 1e-4
