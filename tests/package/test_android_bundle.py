"""The AAR: on the JVM, with stand-ins of Android's classes and the real runtimes behind theirs."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pytest
from jvm_tools import HERE, JSON_JAR, STANDINS, compile_java, drive, need, standin_sources
from made_runs import MODELS, SOUND, make_run, raw_samples

from edgekd.agent import agent
from edgekd.data import sound
from edgekd.package.android_code.aar import CLASSES
from edgekd.package.android_code.classfile import with_names
from edgekd.package.android_code.compile import compile_all
from edgekd.package.linux_code import arithmetic
from edgekd.package.write import package
from edgekd.pipeline import read_summary
from edgekd.runtimes import load
from edgekd.runtimes.predict import softmax

NAMES = {
    "digits": "digitsclassifier.DigitsClassifier",
    "photos": "photosclassifier.PhotosClassifier",
    "speech": "speechclassifier.SpeechClassifier",
    "shop": "shopclassifier.ShopClassifier",
    "wear": "wearregressor.WearRegressor",
}
GOLDEN = {"digits": 4, "photos": 4, "speech": 2, "shop": 4, "wear": 4}


def archive(out: Path, suffix: str) -> Path:
    """The only file of the repository with this ending."""
    (found,) = (out / "android/maven").rglob(f"*{suffix}")
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By name: the folder of each run's bundle, and of its unpacked AAR."""
    folder = tmp_path_factory.mktemp("android")
    bundles = {}
    for name in MODELS:
        run = make_run(folder, name)
        package(run, read_summary(run), ["android"], version="1.2.0", out=run / "out")
        unpacked = run / "aar"
        ZipFile(archive(run / "out", ".aar")).extractall(unpacked)
        bundles[name] = (run, run / "out", unpacked)
    return bundles


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


def runtime(made, name: str):
    return load(made[name][0] / "export-0123456789ab/student-int8.onnx")


def check_answer(found: dict, made, name: str, samples) -> None:
    """Inputs to the bit, outputs to the bit, and scores, against edgekd's own."""
    path = made[name][0] / "export-0123456789ab/student-int8.onnx"
    spec = MODELS[name]
    normalised = spec.input.normalise(samples)
    wanted = agent.load(str(path)).prepare(normalised)
    assert [base64.b64decode(each) for each in found["prepared"]] == [w.tobytes() for w in wanted]
    outputs = runtime(made, name).run(normalised)
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
        {"age": 1, "income": 2.25, "town": "nowhere"},
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


def test_what_is_none_of_the_model(made, jvm, tmp_path):
    window = np.zeros((2, 31)).tolist()
    rows = [{"age": 1, "town": "Basel"}, {"age": 1, "income": "much", "town": "Basel"}]
    rows.append({"age": 1, "income": 1e39, "town": "Basel"})
    rows.append({"age": 1, "income": 1, "town": "Basel", "size": 3})
    jobs = [
        job(made, "wear", [{"asks": "predict", "window": window}]),
        job(made, "shop", [{"asks": "predict", "row": row} for row in rows]),
        job(made, "digits", [], after_close=True),
    ]
    wear, shop, closed = drive(jobs, tmp_path, jvm)
    found = [one["message"] for one in wear["answers"] + shop["answers"]]
    assert found == [
        "A window has 2 channels of 32 steps each.",
        "The row lacks the column income; null says that it is not known.",
        "income is a number, not much.",
        "income is not finite.",
        next(one for one in found if one.startswith("The model has no column size; it has [")),
    ]
    assert (closed["error"], closed["message"]) == (
        "IllegalStateException",
        "This model is closed.",
    )


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


def test_the_shipped_classes_are_those_of_their_sources(tmp_path):
    need("javac")
    version = subprocess.run(["javac", "-version"], check=True, capture_output=True, text=True)
    if not version.stdout.startswith("javac 17."):
        pytest.skip(f"the classes were made by javac 17, and here is {version.stdout.strip()}")
    compile_all(STANDINS, tmp_path)
    made_now = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.class")}
    shipped = {path.relative_to(CLASSES): path.read_bytes() for path in CLASSES.rglob("*.class")}
    assert made_now == shipped  # else: make java


def test_a_bundles_classes_are_those_of_its_sources(made, jvm, tmp_path):
    sources = []
    for name, (_, out, _) in made.items():
        ZipFile(archive(out, "-sources.jar")).extractall(tmp_path / "src" / name)
        sources += sorted((tmp_path / "src" / name).rglob("*.java"))
    compiled = compile_java(sources, tmp_path / "out", jvm[0], JSON_JAR)
    for *_, unpacked in made.values():
        with ZipFile(unpacked / "classes.jar") as jar:
            assert len(jar.namelist()) > 15
            for member in jar.namelist():
                assert jar.read(member) == (compiled / member).read_bytes(), member


def test_what_the_aar_holds(made):
    for name, (_, out, _) in made.items():
        home = f"com.example.{NAMES[name].partition('.')[0]}"
        path = archive(out, ".aar")
        with ZipFile(path) as aar:
            assert aar.namelist()[:4] == [
                "AndroidManifest.xml",
                "classes.jar",
                "R.txt",
                "proguard.txt",
            ]
            model = aar.getinfo(f"assets/{home}/model.onnx")
            assert model.compress_type == ZIP_STORED
            assert path.stat().st_size - model.file_size <= 30_000
            manifest = json.loads(aar.read(f"assets/{home}/manifest.json"))
            assert manifest["files"]["model.onnx"]["bytes"] == model.file_size
            assert b"-keep class ai.onnxruntime.**" in aar.read("proguard.txt")


def test_the_same_run_gives_the_same_bytes(made, tmp_path):
    run, out, _ = made["shop"]
    package(run, read_summary(run), ["android"], version="1.2.0", out=tmp_path / "again")
    first, again = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (out, tmp_path / "again")
    )
    assert first == again


@pytest.mark.parametrize(
    "content", [b"", b"PK\3\4 and more", b"\xca\xfe\xba\xbe\0\0\0\x34\0\2\x63"]
)
def test_what_is_no_class_file(content):
    with pytest.raises(ValueError, match=r"no class file|unknown kind"):
        with_names(content, str)
