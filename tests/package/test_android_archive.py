"""The AAR: its classes are those of its sources, and what it holds is small and always the same."""

from __future__ import annotations

import json
import subprocess
from zipfile import ZIP_STORED, ZipFile

import pytest
from jvm_tools import (
    JSON_JAR,
    NAMES,
    STANDINS,
    archive,
    compile_java,
    make_bundles,
    need,
    standin_sources,
)

from edgekd.package.android_code.aar import CLASSES
from edgekd.package.android_code.classfile import with_names
from edgekd.package.android_code.compile import compile_all
from edgekd.package.write import package
from edgekd.pipeline import read_summary


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_bundles(tmp_path_factory.mktemp("android"))


def test_the_shipped_classes_are_those_of_their_sources(tmp_path):
    need("javac")
    version = subprocess.run(["javac", "-version"], check=True, capture_output=True, text=True)
    if not version.stdout.startswith("javac 17."):
        pytest.skip(f"the classes were made by javac 17, and here is {version.stdout.strip()}")
    compile_all(STANDINS, tmp_path)
    made_now = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.class")}
    shipped = {path.relative_to(CLASSES): path.read_bytes() for path in CLASSES.rglob("*.class")}
    assert made_now == shipped  # else: make java


def test_a_bundles_classes_are_those_of_its_sources(made, tmp_path):
    need("javac", str(JSON_JAR))
    sources = standin_sources()
    for name, (_, out, _) in made.items():
        ZipFile(archive(out, "-sources.jar")).extractall(tmp_path / "src" / name)
        sources += sorted((tmp_path / "src" / name).rglob("*.java"))
    compiled = compile_java(sources, tmp_path / "out", JSON_JAR)
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
