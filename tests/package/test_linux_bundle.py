"""The wheel: answers as edgekd does, checks itself, and refuses what is damaged or mixed up."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from made_runs import KEY, MODELS, MORE, SOUND, make_run, raw_samples, readme_lines
from PIL import Image

from edgekd.data import sound
from edgekd.devices.arm64_root import root_folder
from edgekd.devices.emulator import enter
from edgekd.package import linux_code
from edgekd.package.write import package
from edgekd.pipeline import read_summary
from edgekd.runtimes import load
from edgekd.runtimes.predict import softmax
from edgekd.spec import InputSpec, ModelSpec

CLASSES = {
    "digits": "DigitsClassifier",
    "photos": "PhotosClassifier",
    "speech": "SpeechClassifier",
    "shop": "ShopClassifier",
    "wear": "WearRegressor",
    "fruit": "FruitClassifier",
    "pair": "PairRegressor",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By name: the run, its wheel, and where that is unpacked (modules of different names)."""
    folder, site = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("site")
    wheels = {}
    for name in CLASSES:
        run = make_run(folder, name)
        package(run, read_summary(run), ["linux"], version="1.2.0", out=run / "out")
        (wheels[name],) = (run / "out/linux").glob("*.whl")
        ZipFile(wheels[name]).extractall(site)
    return folder, site, wheels


@pytest.fixture(scope="module")
def bundles(made):
    sys.path.insert(0, str(made[1]))
    try:
        yield {
            name: getattr(__import__(cls_module(name)), CLASSES[name]).create() for name in CLASSES
        }
    finally:
        sys.path.remove(str(made[1]))


def cls_module(name: str) -> str:
    return f"{name}_{'regressor' if name in ('wear', 'pair') else 'classifier'}"


def logits(made, name: str, x):
    return load(made[0] / name / f"export-{KEY}/student-int8.onnx").run(x)


@pytest.mark.parametrize("name", CLASSES)
def test_every_bundle_checks_itself_on_golden_samples(bundles, name):
    assert bundles[name].self_check() == {"speech": 6}.get(name, 4)


def test_a_picture_is_answered_as_by_edgekd(made, bundles):
    pixels = np.random.default_rng(3).integers(0, 256, (24, 40, 3)).astype(np.uint8)
    spec = MODELS["photos"].input
    small = np.asarray(Image.fromarray(pixels).resize((10, 12), Image.Resampling.BILINEAR))
    x = spec.normalise(small.transpose(2, 0, 1)[None])
    wanted = softmax(logits(made, "photos", x))[0]
    got = bundles["photos"].classify(pixels)
    assert [c.label for c in got] == [("cat", "dög")[i] for i in np.argsort(-wanted)]
    np.testing.assert_allclose([c.score for c in got], np.sort(wanted)[::-1], rtol=1e-12)


def test_the_two_lines_of_the_readme_are_enough(made, bundles):
    (install,), lines = readme_lines("Linux, Raspberry Pi")
    assert install == f"pip install {made[2]['digits'].name}"
    scope = {"pixels": np.full((30, 20), 90, np.uint8)}
    exec("\n".join(lines), scope)
    assert len(lines) == 2
    assert scope["label"] == bundles["digits"].classify(scope["pixels"])[0].label


def test_a_recording_is_answered_as_by_edgekd(made, bundles):
    samples = np.random.default_rng(3).normal(0, 0.1, 5000).astype(np.float32)
    x = MODELS["speech"].input.normalise(sound.features(samples, SOUND.rate, SOUND)[None])
    wanted = softmax(logits(made, "speech", x))[0]
    got = {c.label: c.score for c in bundles["speech"].classify(samples)}
    np.testing.assert_allclose([got[label] for label in ("yes", "no", "none")], wanted)


def test_a_row_is_answered_as_by_edgekd(made, bundles):
    rows = [
        {"income": 61.5, "town": " Köln ", "age": 30, "more": "x"},
        {"income": None, "town": "Atlantis", "age": float("nan")},
        {"income": "n/a", "town": 7, "age": 30},
    ]
    numbers = np.array([[30, 61.5], [40.1, 52.3], [30, 52.3]], np.float32)
    codes = np.array([[1], [0], [3]], np.int32)
    x = MODELS["shop"].input.normalise({"numbers": numbers, "codes": codes})
    for row, wanted in zip(rows, softmax(logits(made, "shop", x)), strict=True):
        got = dict(bundles["shop"].predict(row))
        np.testing.assert_allclose([got["no"], got["yes"]], wanted)


def test_a_regression_answers_in_the_targets_units(made, bundles):
    raw = raw_samples("wear")
    spec = MODELS["wear"]
    wanted = spec.raw_targets(logits(made, "wear", spec.input.normalise(raw)))
    for sample, number in zip(raw, wanted, strict=True):
        assert bundles["wear"].predict(sample) == pytest.approx(float(number[0]))


def test_several_labels_have_a_score_each(made, bundles):
    for sample in raw_samples("fruit"):
        (wanted,) = logits(made, "fruit", MORE["fruit"].input.normalise(sample[None]))
        got = dict(bundles["fruit"].classify(sample))
        for label, logit in zip(("red", "round", "ripe"), wanted, strict=True):
            assert got[label] == pytest.approx(1 / (1 + np.exp(-float(logit))))


def test_several_inputs_and_targets_go_by_name(made, bundles):
    raw, spec = raw_samples("pair"), MORE["pair"]
    wanted = spec.raw_targets(logits(made, "pair", spec.input.normalise(raw)))
    for number, (x, y) in enumerate(wanted):
        got = bundles["pair"].predict({name: values[number] for name, values in raw.items()})
        assert got == {"x": pytest.approx(float(x)), "y": pytest.approx(float(y))}
    with pytest.raises(ValueError, match="plain"):
        bundles["pair"].predict({"grid": raw["grid"][0]})


def test_its_code_is_python_3_9():
    for path in Path(linux_code.__file__).parent.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("photos", np.zeros((4, 4), np.float32), "uint8"),
        ("photos", np.zeros((4, 4, 2), np.uint8), "H, W"),
        ("speech", np.zeros((2, 9), np.float32), "N,"),
        ("speech", np.full(9, np.nan, np.float32), "not finite"),
        ("speech", np.zeros(9, np.int32), "int16"),
        ("wear", np.zeros((32, 2), np.float32), "shape"),
        ("shop", {"age": 3, "income": 4}, "town"),
        ("shop", {"age": "old", "income": 4, "town": "x"}, "age is a number"),
        ("shop", [1, 2, 3], "mapping"),
    ],
)
def test_what_is_no_sample_is_refused(bundles, name, given, problem):
    ask = bundles[name].predict if name in ("shop", "wear") else bundles[name].classify
    with pytest.raises(ValueError, match=problem):
        ask(given)


def command(site: Path, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", cls_module(name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_answers_about_files(made, tmp_path):
    np.save(tmp_path / "four.npy", np.zeros((9, 9), np.uint8))
    done = command(made[1], "digits", "--check", tmp_path / "four.npy", "--top", 2)
    assert done.returncode == 0, done.stderr
    assert "4 golden samples as exported" in done.stdout and done.stdout.count("%") == 2
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["town", "age", "income"], ["Köln", "", "50"], ["x", 1, 2]])
    assert command(made[1], "shop", tmp_path / "rows.csv").stdout.count("%") == 2
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(3000, dtype="<i2").tobytes())
    assert "%" in command(made[1], "speech", tmp_path / "a.wav").stdout
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "broken.csv").write_text("age,town,income\n1,x,2\n1," + 200_000 * "x" + ",2\n")
    for name, path in (("speech", "four.npy"), ("digits", "empty.npy"), ("shop", "broken.csv")):
        wrong = command(made[1], name, tmp_path / path)
        assert wrong.returncode == 1 and "Traceback" not in wrong.stderr


def test_pixels_of_four_channels_are_numbers_because_no_picture_has_them(tmp_path, monkeypatch):
    shape = (4, 5, 6)
    source = InputSpec(kind="image", shape=shape, mean=(90.0,) * 4, std=(60.0,) * 4, peak=255.0)
    spec = ModelSpec(name="linear", input=source, labels=("a", "b"))
    monkeypatch.setitem(MODELS, "rgba", spec)
    run = make_run(tmp_path, "rgba", golden=False)
    package(run, read_summary(run), ["linux"], version="1.2.0", out=run / "out")
    (wheel,) = (run / "out/linux").glob("*.whl")
    ZipFile(wheel).extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    model = __import__("rgba_classifier").RgbaClassifier.create()
    assert model.self_check() == 1
    raw = np.random.default_rng(0).integers(0, 256, shape)
    wanted = load(run / f"export-{KEY}/student-int8.onnx").run(source.normalise(raw[None]))
    assert dict(model.classify(raw))["a"] == pytest.approx(softmax(wanted)[0, 0])
    with pytest.raises(ValueError, match=r"shape is \(4, 5, 6\)"):
        model.classify(np.zeros((5, 6, 3), np.uint8))


def data_of(site: Path, name: str) -> Path:
    return site / cls_module(name) / "data"


@pytest.mark.parametrize("damage", ["cut", "changed", "mixed", "gone", "manifest", "other format"])
def test_a_damaged_or_mixed_up_bundle_is_refused(made, damage, tmp_path):
    for name in ("digits", "photos"):
        ZipFile(made[2][name]).extractall(tmp_path)
    data = data_of(tmp_path, "digits")
    if damage == "cut":
        (data / "model.onnx").write_bytes((data / "model.onnx").read_bytes()[:-20])
    elif damage == "changed":
        (data / "spec.json").write_text((data / "spec.json").read_text().replace("4.9", "5.9"))
    elif damage == "mixed":
        (data / "model.onnx").write_bytes((data_of(tmp_path, "photos") / "model.onnx").read_bytes())
    elif damage == "gone":
        (data / "golden.json").unlink()
    elif damage == "manifest":
        (data / "manifest.json").write_text((data / "manifest.json").read_text()[:200])
    else:
        told = json.loads((data / "manifest.json").read_text())
        (data / "manifest.json").write_text(json.dumps({**told, "format_version": 2}))
    done = command(tmp_path, "digits", "--check")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    named = {"cut": "model.onnx", "changed": "spec.json", "mixed": "model.onnx"}
    named["gone"] = "golden.json"
    assert named.get(damage, "manifest.json") in done.stderr
    assert "This bundle cannot be used" in done.stderr


def test_another_answer_than_the_golden_one_is_told(made, tmp_path):
    """A bundle that is whole, of a model that does not give what it gave."""
    ZipFile(made[2]["digits"]).extractall(tmp_path)
    data = data_of(tmp_path, "digits")
    golden = json.loads((data / "golden.json").read_text())
    golden["samples"][2]["output"][0] += 5
    content = json.dumps(golden).encode()
    (data / "golden.json").write_bytes(content)
    told = json.loads((data / "manifest.json").read_text())
    told["files"]["golden.json"]["sha256"] = hashlib.sha256(content).hexdigest()
    (data / "manifest.json").write_text(json.dumps(told))
    done = command(tmp_path, "digits", "--check")
    assert done.returncode == 1 and "Golden sample 2" in done.stderr


def test_the_record_of_the_wheel_is_that_of_its_files(made):
    """As the specification of wheels asks: every file, its SHA-256 in unpadded base64, its size."""
    for path in made[2].values():
        archive = ZipFile(path)
        (record,) = [name for name in archive.namelist() if name.endswith("RECORD")]
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        assert {row[0] for row in rows} == set(archive.namelist())
        for name, digest, size in rows:
            if name == record:
                assert (digest, size) == ("", "")
                continue
            content = archive.read(name)
            told = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            assert digest == f"sha256={told.decode()}" and int(size) == len(content)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot is for root")
@pytest.mark.skipif(not root_folder().is_dir(), reason="edgekd devices create arm64-emulator")
def test_the_wheel_answers_on_an_arm64_processor(made):
    """As pip would lay it out, in a folder of the arm64 root, where numpy and the runtimes are."""
    root = root_folder()
    with tempfile.TemporaryDirectory(dir=root / "tmp") as site:
        for name in ("digits", "speech"):
            ZipFile(made[2][name]).extractall(site)
            inside = f"PYTHONPATH=/{Path(site).relative_to(root)}"
            run = ("env", inside, "python3", "-m", cls_module(name), "--check")
            done = subprocess.run(
                enter(root, "cortex-a72", *run), capture_output=True, text=True, check=False
            )
            assert "golden samples as exported" in done.stdout, done.stderr


@pytest.mark.slow
def test_the_wheel_installs_into_an_empty_environment_and_classifies(made, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(made[2]["digits"])], check=True)
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(venv / "bin/digits-classifier"), "--check"],
        env=clean,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 golden samples as exported" in done.stdout, done.stderr
    code = (
        "import numpy as np; from digits_classifier import predict;"
        "print(predict(np.zeros((8, 8), np.uint8))[0].label)"
    )
    python = str(venv / "bin/python")
    said = subprocess.run(
        [python, "-c", code], env=clean, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() in "0123456789"
