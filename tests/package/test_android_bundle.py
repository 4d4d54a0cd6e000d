"""The AAR: on the JVM, with stand-ins of Android's classes and the real runtimes behind theirs."""

from __future__ import annotations

import base64
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from jvm_tools import (
    HERE,
    JSON_JAR,
    NAMES,
    archive,
    compile_java,
    drive,
    make_bundles,
    need,
    standin_sources,
)
from made_runs import KEY, MODELS, SOUND, make_run, raw_samples

from edgekd.agent import agent
from edgekd.data import sound
from edgekd.package.linux_code import arithmetic
from edgekd.package.write import package
from edgekd.pipeline import read_summary
from edgekd.runtimes import load
from edgekd.runtimes.predict import sigmoid, softmax
from edgekd.spec import InputSpec, ModelSpec, NamedInputs

BLEND = ModelSpec(
    name="linear",
    input=NamedInputs(
        inputs=(
            InputSpec(name="numbers", kind="row", shape=(2,), mean=(1.0, 2.0), std=(3.0, 4.0)),
            InputSpec(name="codes", kind="codes", shape=(1,), vocabulary=(("a", "b"),)),
        )
    ),
    labels=("hours", "cost"),
    task="regression",
    target_mean=(10.0, -20.0),
    target_std=(2.0, 30.0),
)
TAGS = ModelSpec(
    name="linear",
    input=InputSpec(kind="row", shape=(6,), mean=(100.0,) * 6, std=(70.0,) * 6),
    labels=("red", "round", "ripe"),
    task="multilabel",
)
RGBA = ModelSpec(
    name="linear",
    input=InputSpec(kind="image", shape=(4, 2, 3), mean=(90.0,) * 4, std=(60.0,) * 4, peak=200.0),
    labels=("x", "y"),
)
"""Of four channels, so no bitmap."""
GOLDEN = {"digits": 4, "photos": 4, "speech": 2, "shop": 4, "wear": 4}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_bundles(tmp_path_factory.mktemp("android"))


@pytest.fixture(scope="module")
def jvm(made, tmp_path_factory):
    """The class path: the driver, the stand-ins and every bundle's classes.jar."""
    need("javac", "java", str(JSON_JAR))
    jars = [unpacked / "classes.jar" for *_, unpacked in made.values()]
    sources = [*standin_sources(), HERE / "Drive.java"]
    out = tmp_path_factory.mktemp("classes")
    return [compile_java(sources, out, JSON_JAR), *jars]


def job(made, name: str, asked: list, **more) -> dict:
    assets = made[name][2] / "assets"
    return {"class": f"com.example.{NAMES[name]}", "assets": assets, "asked": asked, **more}


def runtime_of(run: Path):
    return load(run / f"export-{KEY}/student-int8.onnx")


def check_answer(found: dict, made, name: str, samples) -> None:
    """Inputs to the bit, outputs to the bit, and scores, against edgekd's own."""
    path = made[name][0] / f"export-{KEY}/student-int8.onnx"
    spec = MODELS[name]
    normalised = spec.input.normalise(samples)
    wanted = agent.load(str(path)).prepare(normalised)
    assert [base64.b64decode(each) for each in found["prepared"]] == [w.tobytes() for w in wanted]
    outputs = runtime_of(made[name][0]).run(normalised)
    assert np.array(found["outputs"], np.float32).tobytes() == outputs[0].tobytes()
    if spec.task == "regression":
        assert found["answer"] == pytest.approx(float(spec.raw_targets(outputs)[0, 0]), rel=1e-14)
        return
    scores = softmax(outputs)[0]
    order = np.argsort(-scores, kind="stable")
    assert [one["label"] for one in found["answer"]] == [spec.labels[at] for at in order]
    assert [one["score"] for one in found["answer"]] == pytest.approx(scores[order], rel=1e-12)


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    sizes = [(8, 8), (12, 10), (37, 53), (5, 3), (64, 9)]
    return [rng.integers(0, 256, (*size, 4)).astype(np.uint8) for size in sizes]


def as_argb(pixels: np.ndarray) -> dict:
    wide = pixels.astype(np.int64)
    argb = wide[..., 3] << 24 | wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return {"argb": argb.ravel().tolist(), "width": pixels.shape[1]}


@pytest.mark.parametrize("name", ["digits", "photos"])
def test_bitmaps_of_any_size(made, jvm, tmp_path, name):
    asked = [{"asks": "classify", **as_argb(one)} for one in pictures()]
    (result,) = drive([job(made, name, asked)], tmp_path, jvm)
    assert result["golden"] == GOLDEN[name]
    told = MODELS[name].input.model_dump()
    for pixels, found in zip(pictures(), result["answers"], strict=True):
        check_answer(found, made, name, arithmetic.picture(pixels, told)[None])


def test_other_inputs(made, jvm, tmp_path):
    rng = np.random.default_rng(4)
    pcm = [rng.integers(-30000, 30000, count).astype(np.int16) for count in (4000, 1500, 6001)]
    floats = (pcm[0] / np.float32(40000)).astype(np.float32)
    speech = [{"asks": "classify", "pcm": one.tolist()} for one in pcm]
    speech.append({"asks": "classify", "samples": floats.tolist()})
    window = raw_samples("wear")[0]
    rows = [
        {"age": 40.5, "income": 52, "town": "Basel"},
        {"age": None, "income": " NA ", "town": "Köln"},
        {"age": 1, "income": 2.25, "town": 7},
        {"age": 1, "income": 2.25, "town": "nowhere", "a column more": 3},
    ]
    jobs = [
        job(made, "speech", speech),
        job(made, "wear", [{"asks": "predict", "window": window.tolist()}], compressed=True),
        job(made, "shop", [{"asks": "predict", "row": row} for row in rows], threads=4),
    ]
    heard, wear, shop = drive(jobs, tmp_path, jvm)
    monos = [one.astype(np.float32) / np.float32(32768) for one in pcm]
    for mono, found in zip([*monos, floats], heard["answers"], strict=True):
        check_answer(found, made, "speech", sound.features(mono, SOUND.rate, SOUND)[None])
    check_answer(wear["answers"][0], made, "wear", window[None])
    raw = [([40.5, 52], 2), ([40.1, 52.3], 1), ([1, 2.25], 3), ([1, 2.25], 0)]
    for (numbers, code), found in zip(raw, shop["answers"], strict=True):
        sample = {"numbers": np.array([numbers], np.float32), "codes": np.array([[code]], np.int32)}
        check_answer(found, made, "shop", sample)
    assert shop["shared"] == 4 * GOLDEN["shop"]


def test_several_targets_and_several_labels(tmp_path, jvm, monkeypatch):
    monkeypatch.setitem(MODELS, "blend", BLEND)
    monkeypatch.setitem(MODELS, "tags", TAGS)
    monkeypatch.setitem(MODELS, "rgba", RGBA)
    classes = {
        "blend": "blendregressor.BlendRegressor",
        "tags": "tagsclassifier.TagsClassifier",
        "rgba": "rgbaclassifier.RgbaClassifier",
    }
    numbers = [1.5, -2.0, 300.25, 0.0, 7.0, 250.0]
    asked = {
        "blend": {"asks": "predict", "values": {"numbers": [4.25, -1.5], "codes": [2]}},
        "tags": {"asks": "classify", "samples": numbers},
        "rgba": {"asks": "classify", "samples": 4 * numbers},
    }
    jobs, jars = [], []
    for name, class_name in classes.items():
        run = make_run(tmp_path, name, golden=name == "blend")
        package(run, read_summary(run), ["android"], version="1.2.0", out=run / "out")
        ZipFile(archive(run / "out", ".aar")).extractall(run / "aar")
        jars.append(run / "aar/classes.jar")
        of_it = {"class": f"com.example.{class_name}", "assets": run / "aar/assets"}
        jobs.append({**of_it, "asked": [asked[name]]})
    blend, tags, rgba = drive(jobs, tmp_path, [*jvm, *jars])
    assert (blend["golden"], tags["golden"], rgba["golden"]) == (4, 1, 1)
    sample = {"numbers": np.array([[4.25, -1.5]], np.float32), "codes": np.array([[2]], np.int32)}
    wanted = BLEND.raw_targets(runtime_of(tmp_path / "blend").run(BLEND.input.normalise(sample)))
    assert blend["answers"][0]["answer"] == pytest.approx(
        dict(zip(BLEND.labels, wanted[0], strict=True)), rel=1e-14
    )
    rows = TAGS.input.normalise(np.array([numbers], np.float32))
    scores = sigmoid(runtime_of(tmp_path / "tags").run(rows))[0]
    found = {one["label"]: one["score"] for one in tags["answers"][0]["answer"]}
    assert found == pytest.approx(dict(zip(TAGS.labels, scores, strict=True)), rel=1e-12)


def test_what_is_none_of_the_model(made, jvm, tmp_path):
    window = np.zeros((2, 31)).tolist()
    rows = [{"age": 1, "town": "Basel"}, {"age": 1, "income": "much", "town": "Basel"}]
    rows.append({"age": 1, "income": 1e39, "town": "Basel"})
    jobs = [
        job(made, "wear", [{"asks": "predict", "window": window}]),
        job(made, "shop", [{"asks": "predict", "row": row} for row in rows]),
        job(made, "speech", [{"asks": "classify", "samples": []}]),
        job(made, "digits", [], after_close=True),
    ]
    wear, shop, speech, closed = drive(jobs, tmp_path, jvm)
    found = [one["message"] for one in wear["answers"] + shop["answers"] + speech["answers"]]
    assert found == [
        "A window has 2 channels of 32 steps each.",
        "The row lacks the column income; null says that it is not known.",
        "income is a number, not much.",
        "income is not finite.",
        "The recording has no samples.",
    ]
    assert (closed["error"], closed["message"]) == (
        "IllegalStateException",
        "This model is closed.",
    )


def test_an_accelerator_that_is_not_there(made, jvm, tmp_path):
    jobs = [job(made, "digits", [], accelerator=one) for one in ("GPU", "NPU")]
    gpu, npu = (one["message"] for one in drive(jobs, tmp_path, jvm))
    assert gpu.startswith("ONNX Runtime has no GPU on Android: take CPU or NPU")
    assert npu.startswith("The runtime cannot load com.example.digitsclassifier/model.onnx on NPU:")
    assert "there is no NNAPI here" in npu and "The processor (CPU) runs every model" in npu


def damaged(made, name: str, folder: Path, change) -> Path:
    """A copy of the assets, in which `change` has done something to the bundle's folder."""
    for path in (made[name][2] / "assets").rglob("*"):
        if path.is_file():
            copy = folder / path.parent.name / path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    change(folder / f"com.example.{NAMES[name].partition('.')[0]}")
    return folder


def test_damaged_bundles_are_refused(made, jvm, tmp_path):
    def flip(home):
        content = bytearray((home / "model.onnx").read_bytes())
        content[100] ^= 1
        (home / "model.onnx").write_bytes(content)

    def cut(home):
        (home / "model.onnx").write_bytes((home / "model.onnx").read_bytes()[:500])

    def mix(home):
        other = made["photos"][2] / "assets/com.example.photosclassifier/spec.json"
        (home / "spec.json").write_bytes(other.read_bytes())

    def other_version(home):
        text = (home / "manifest.json").read_text().replace('"1.2.0"', '"1.2.1"')
        (home / "manifest.json").write_text(text)

    changes = [flip, cut, mix, other_version, lambda home: (home / "spec.json").unlink()]
    jobs = []
    for number, change in enumerate(changes):
        assets = damaged(made, "digits", tmp_path / str(number), change)
        jobs.append({**job(made, "digits", []), "assets": assets})
        jobs.append({**jobs[-1], "compressed": True})
    results = drive(jobs, tmp_path, jvm)
    home = "com.example.digitsclassifier"
    parts = [
        f"The asset {home}/model.onnx is damaged, cut off or of another version: it has",
        f"The asset {home}/model.onnx is damaged, cut off or of another version: it has 500 bytes",
        f"The asset {home}/spec.json is damaged, cut off or of another version: it has",
        f"The asset {home}/manifest.json is damaged, cut off or of another version: it has",
        f"The app has no asset {home}/spec.json.",
    ]
    for number, result in enumerate(results):
        assert result["error"] == "ModelException"
        assert result["message"].startswith(parts[number // 2])
