"""The Swift package: parsed by a Swift grammar, because no compiler is at hand; and whole."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import tree_sitter_swift
from made_runs import MODELS, make_run, readme_lines
from tree_sitter import Language, Node, Parser

from edgekd.errors import StageError
from edgekd.package.archive import zip_bytes
from edgekd.package.write import package
from edgekd.pipeline import read_summary

CLASSES = {
    "digits": ("DigitsClassifier", "func classify(_ image: CGImage) throws -> [Category]"),
    "photos": ("PhotosClassifier", "func classify(_ rgbx: [UInt8], width: Int, height: Int)"),
    "speech": ("SpeechClassifier", "func classify(_ samples: [Int16]) throws -> [Category]"),
    "shop": ("ShopClassifier", "func predict(_ row: [String: Cell]) throws -> [Category]"),
    "wear": ("WearRegressor", "func predict(_ window: [[Float]]) throws -> Double"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By name: the folder of the Swift package."""
    folder = tmp_path_factory.mktemp("apple")
    found = {}
    for name in MODELS:
        run = make_run(folder, name)
        package(run, read_summary(run), ["apple"], version="1.2.0", out=run / "out")
        (found[name],) = (path.parent for path in run.rglob("Package.swift"))
    return found


def mistakes(path: Path) -> list[str]:
    """Places that are no Swift."""
    parser = Parser(Language(tree_sitter_swift.language()))

    def below(node: Node) -> list[str]:
        here = (
            [f"{path.name}:{node.start_point[0] + 1}"] if node.is_error or node.is_missing else []
        )
        return here + [each for child in node.children for each in below(child)]

    return below(parser.parse(path.read_bytes()).root_node)


def test_the_grammar_finds_mistakes(tmp_path):
    (tmp_path / "a.swift").write_text("func f() -> Int { return 1 + }\n")
    assert mistakes(tmp_path / "a.swift") == ["a.swift:1"]


@pytest.mark.parametrize("name", MODELS)
def test_every_file_is_swift(made, name):
    files = sorted(made[name].rglob("*.swift"))
    assert len(files) > 12
    assert [each for path in files for each in mistakes(path)] == []


@pytest.mark.parametrize("name", MODELS)
def test_the_class_has_the_models_method_and_the_manifest_of_its_files(made, name):
    class_name, method = CLASSES[name]
    home = made[name] / f"Sources/{class_name}Kit"
    text = (home / f"{class_name}.swift").read_text()
    assert f"public final class {class_name}" in text and f"public {method}" in text
    manifest = (home / "Model/manifest.json").read_bytes()
    assert f'"{hashlib.sha256(manifest).hexdigest()}"' in text
    for path, entry in json.loads(manifest)["files"].items():
        content = (home / "Model" / path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    package_file = (made[name] / "Package.swift").read_text()
    assert f'name: "{class_name}Kit"' in package_file and '.copy("Model")' in package_file


def test_types_that_are_used_are_there(made):
    """Of the readers only one is in a package, and no file may name another."""
    readers = {"Pictures", "Sounds", "Windows", "Several", "Numbers"}
    for name, folder in made.items():
        files = list((folder / "Sources").rglob("*.swift"))
        defined = {path.stem for path in files}
        code = "".join(re.sub("//.*", "", path.read_text()) for path in files)
        assert {one for one in readers if re.search(rf"\b{one}\b", code)} <= defined, name


def test_the_app_writes_two_lines(made):
    readme = (made["digits"] / "README.md").read_text()
    lines = [line.strip() for line in readme.splitlines() if line.startswith("    ")]
    assert [lines] == readme_lines("iOS, macOS")[1:] and len(lines) == 2


def test_it_is_small(made):
    for folder in made.values():
        files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        model = files.pop("model.onnx")
        assert len(zip_bytes(files)) <= 30_000 and len(model) > 0


def test_a_run_without_onnx_is_told_what_to_do(tmp_path):
    run = make_run(tmp_path, "digits")
    summary = read_summary(run)
    summary = summary.model_copy(
        update={"models": [one.model_copy(update={"format": "tflite"}) for one in summary.models]}
    )
    with pytest.raises(StageError, match="needs a model in onnx"):
        package(run, summary, ["apple"], version="1.2.0", out=tmp_path / "out")
