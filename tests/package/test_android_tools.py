"""The Android bundle in real hands: Maven, aapt2, a Kotlin compiler; a TFLite file on the JVM."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import numpy as np
import pytest
from jvm_tools import (
    FRAMEWORK,
    HERE,
    JSON_JAR,
    KOTLIN,
    compile_java,
    compile_kotlin,
    drive,
    java,
    need,
    standin_sources,
)
from made_runs import KEY, make_run, readme_lines
from tiny_models import Tiny

from edgekd.agent import agent
from edgekd.export.facts import Facts, write_facts
from edgekd.package.android_code.maven import Artefact, Coordinates, write_repository
from edgekd.package.archive import zip_bytes
from edgekd.package.linux_code import arithmetic
from edgekd.package.write import package
from edgekd.pipeline import read_summary
from edgekd.runtimes.golden import write_golden

LITERT = Coordinates("com.google.ai.edge.litert", "litert", "2.3.0")
CLASS = "com.example.digitsclassifier.DigitsClassifier"
APP = """\
import android.content.Context
import android.graphics.Bitmap
import com.example.digitsclassifier.DigitsClassifier
import java.io.File

fun answer(context: Context, bitmap: Bitmap): String {
{lines}
    return answer.first().label
}

fun main(arguments: Array<String>) {
    val pixels = IntArray(40 * 30) { place -> place * 70_001 }
    val bitmap = Bitmap.createBitmap(pixels, 40, 30, Bitmap.Config.ARGB_8888)
    println(answer(Context(File(arguments[0]), false), bitmap))
}
"""


TINY = Tiny((3, 6, 5), mean=100.0, std=50.0, peak=255.0)


def packaged(folder: Path, precision: str) -> tuple[Path, Path]:
    """The bundle's folder of a TFLite file that takes pictures, and the file."""
    run = make_run(folder, "digits")
    export = run / f"export-{KEY}"
    path = TINY.write(export, "tflite", precision)
    write_facts(path, TINY.deployed("tflite", precision), Facts("tiny", "Knows <four> & more."))
    raw = np.random.default_rng(0).integers(0, 256, (3, 3, 6, 5)).astype(np.uint8)
    write_golden(export, [path], raw, [0, 1, 2], TINY.spec.input)
    summary = read_summary(run)
    (figures,) = summary.models
    named = {"format": "tflite", "precision": precision, "path": f"{export.name}/{path.name}"}
    summary = summary.model_copy(update={"models": [figures.model_copy(update=named)]})
    package(run, summary, ["android"], version="1.2.0", out=run / "out")
    return run / "out/android", path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return packaged(tmp_path_factory.mktemp("run"), "int8")[0]


@pytest.fixture(scope="module")
def standins(tmp_path_factory):
    """Classes of the stand-ins and of the driver."""
    need("javac", "java", str(JSON_JAR))
    sources = [*standin_sources(), HERE / "Drive.java"]
    return compile_java(sources, tmp_path_factory.mktemp("classes"), JSON_JAR)


def unpacked(bundle: Path, folder: Path) -> Path:
    """The folder with the AAR's files."""
    ZipFile(next(bundle.rglob("*.aar"))).extractall(folder)
    return folder


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_tflite_file_answers_to_the_bit(precision, standins, tmp_path):
    bundle, path = packaged(tmp_path, precision)
    aar = unpacked(bundle, tmp_path / "aar")
    pixels = np.random.default_rng(1).integers(0, 256, (31, 17, 4)).astype(np.uint8)
    wide = pixels.astype(np.int64)
    argb = wide[..., 3] << 24 | wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    asked = [{"asks": "classify", "argb": argb.ravel().tolist(), "width": 17}]
    job = {"class": CLASS, "assets": aar / "assets", "asked": asked, "threads": 3}
    (result,) = drive([job], tmp_path, [standins, aar / "classes.jar"])
    assert (result["golden"], result["shared"]) == (3, 9)
    model = agent.load(str(path))
    sample = TINY.spec.input.normalise(
        arithmetic.picture(pixels, TINY.spec.input.model_dump())[None]
    )
    (found,) = result["answers"]
    (wanted,) = model.prepare(sample)
    assert base64.b64decode(found["prepared"][0]) == wanted.tobytes()
    assert np.array(found["outputs"], np.float32).tobytes() == model.run(sample)[0].tobytes()


def test_every_file_of_the_repository_has_its_checksums(bundle):
    files = [path for path in (bundle / "maven").rglob("*") if path.is_file()]
    kinds = (".md5", ".sha1", ".sha256", ".sha512")
    archives = [path for path in files if path.suffix not in kinds]
    assert len(archives) == 5 and len(files) == 25
    for path in archives:
        for kind in kinds:
            wanted = hashlib.new(kind[1:], path.read_bytes()).hexdigest()
            assert path.with_name(path.name + kind).read_text() == wanted


def test_pom_and_module_say_the_same(bundle):
    (folder,) = (bundle / "maven").rglob("1.2.0")
    stem = folder / "digits-classifier-1.2.0"
    pom = ElementTree.fromstring(stem.with_name(f"{stem.name}.pom").read_text())
    text = {each.tag.rpartition("}")[2]: each.text for each in pom.iter()}
    assert (text["packaging"], text["description"]) == ("aar", "Knows <four> & more.")
    dependency = next(each for each in pom.iter() if each.tag.endswith("}dependency"))
    assert [each.text for each in dependency] == [
        LITERT.group,
        LITERT.artefact,
        LITERT.version,
        "aar",
        "runtime",
    ]
    module = json.loads(stem.with_name(f"{stem.name}.module").read_text())
    assert module["component"]["module"] == "digits-classifier"
    for variant in module["variants"]:
        for entry in variant["files"]:
            content = (folder / entry["url"]).read_bytes()
            assert entry["size"] == len(content)
            assert entry["sha512"] == hashlib.sha512(content).hexdigest()
    runtime = next(one for one in module["variants"] if "Runtime" in one["name"])
    needs = {"group": LITERT.group, "module": "litert", "version": {"requires": "2.3.0"}}
    assert runtime["dependencies"] == [needs]
    assert runtime["attributes"]["org.gradle.libraryelements"] == "aar"


PROJECT = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>an.app</groupId>
  <artifactId>app</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <repositories>
    {repositories}
  </repositories>
  <pluginRepositories>
    <pluginRepository>
      <id>debian</id>
      <url>file:///usr/share/maven-repo</url>
      <releases><checksumPolicy>ignore</checksumPolicy></releases>
    </pluginRepository>
  </pluginRepositories>
  <dependencies>
    <dependency>
      <groupId>com.example</groupId>
      <artifactId>digits-classifier</artifactId>
      <version>1.2.0</version>
      <type>aar</type>
    </dependency>
  </dependencies>
</project>
"""
REPOSITORY = """<repository>
      <id>{id}</id>
      <url>{url}</url>
      <releases><checksumPolicy>fail</checksumPolicy></releases>
    </repository>"""


@pytest.mark.slow
def test_maven_resolves_it_with_its_runtime(bundle, tmp_path):
    need("mvn", "/usr/share/maven-repo/org/apache/maven/plugins/maven-dependency-plugin")
    standin = Artefact(LITERT, "A stand-in.", "", (), zip_bytes({"classes.jar": b""}), b"")
    write_repository(standin, tmp_path / "google")
    places = {"google": tmp_path / "google", "bundle": bundle / "maven"}
    repositories = [REPOSITORY.format(id=name, url=at.as_uri()) for name, at in places.items()]
    project = PROJECT.format(repositories="\n    ".join(repositories))
    (tmp_path / "pom.xml").write_text(project)
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.5.0:copy-dependencies"
    command = ["mvn", "-B", "-q", "-o", "-Daether.offline.protocols=file"]
    command += [f"-Dmaven.repo.local={tmp_path / 'local'}", plugin, "-DoutputDirectory=libs"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = {path.name: path.read_bytes() for path in (tmp_path / "libs").iterdir()}
    assert set(found) == {"digits-classifier-1.2.0.aar", "litert-2.3.0.aar"}
    assert found["digits-classifier-1.2.0.aar"] == next(bundle.rglob("*.aar")).read_bytes()


def test_aapt_takes_its_manifest_and_assets(bundle, tmp_path):
    need("aapt2", str(FRAMEWORK))
    unpacked(bundle, tmp_path)
    apk, manifest = tmp_path / "app.apk", tmp_path / "AndroidManifest.xml"
    command = ["aapt2", "link", "--manifest", str(manifest), "-I", str(FRAMEWORK)]
    command += ["-A", str(tmp_path / "assets"), "-0", ".tflite", "-o", str(apk)]
    subprocess.run(command, check=True, capture_output=True)
    told = subprocess.run(
        ["aapt2", "dump", "badging", str(apk)], check=True, capture_output=True, text=True
    ).stdout
    assert "package: name='com.example.digitsclassifier'" in told and "sdkVersion:'24'" in told
    with ZipFile(apk) as linked:
        model = linked.getinfo("assets/com.example.digitsclassifier/model.tflite")
        assert model.compress_type == 0
        assert linked.read(model) == (tmp_path / "assets" / model.filename[7:]).read_bytes()


@pytest.mark.slow
def test_kotlin_compiles_and_the_lines_of_the_readme_run(bundle, standins, tmp_path):
    need("java", str(KOTLIN))
    readme = (bundle / "README.md").read_text()
    lines = [line for line in readme.splitlines() if line.startswith("    val ")]
    build = [line for line in readme.splitlines() if line.startswith(("    maven", "    impl"))]
    assert (len(lines), len(build)) == (2, 2)
    document = (Path(__file__).parents[2] / "docs/package.md").read_text()
    assert all(line in document for line in build + lines)
    assert readme_lines("Android") == [[line.strip() for line in each] for each in (build, lines)]
    source = tmp_path / "App.kt"
    source.write_text(APP.replace("{lines}", "\n".join(lines)))
    aar = unpacked(bundle, tmp_path / "aar")
    app = [aar / "classes.jar", standins]
    theirs = sorted((HERE / "androidx").rglob("*.java"))
    libraries = compile_java(theirs, tmp_path / "androidx", *app)
    sources = [source, *sorted((bundle / "androidTest").glob("*.kt"))]
    sources += sorted((HERE / "androidx").rglob("*.kt"))
    compiled = compile_kotlin(sources, tmp_path / "app", libraries, *app)
    classes = [compiled, libraries, KOTLIN / "lib/kotlin-stdlib.jar", *app]
    said = java("AppKt", aar / "assets", classes=classes)
    assert said.strip() in TINY.spec.labels
    runner = ["GoldenTestRunner", "com.example.digitsclassifier.DigitsClassifierGoldenTest"]
    said = java(*runner, aar / "assets", classes=classes)
    assert said.strip() == "ran 1"


def test_nothing_of_the_bundle_needs_a_jdk(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert shutil.which("javac") is None
    run = make_run(tmp_path, "digits")
    package(run, read_summary(run), ["android"], version="1.2.0", out=run / "out")
    assert Path(run / "out/android/README.md").is_file()
