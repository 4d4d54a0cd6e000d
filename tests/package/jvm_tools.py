"""What the Android tests run: a JDK, Debian's build of Android's org.json, and stand-ins of the
Android, LiteRT and ONNX Runtime classes. Behind those two runtimes' stand-ins are the real ones, in
a Python process; `.ci/run` installs the rest.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from made_runs import MODELS, make_run

from edgekd.package.write import package
from edgekd.pipeline import read_summary

HERE = Path(__file__).parent / "android"
STANDINS = HERE / "standins"
JSON_JAR = Path("/usr/share/java/json-android.jar")
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
KOTLIN = Path(sys.prefix) / "kotlin/node_modules/kotlin-compiler"


def need(*tools: str) -> None:
    """Skips the test where a program is missing; a path is looked for as a file."""
    for tool in tools:
        if not (Path(tool).exists() if "/" in tool else shutil.which(tool)):
            pytest.skip(f"{tool} is not installed; .ci/run does it")


def compile_java(sources: Sequence[Path], out: Path, *libraries: Path) -> Path:
    """Classes of the sources in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    path = ":".join(map(str, libraries))
    command = ["javac", "-nowarn", "--release", "8", "-Xlint:-options", "-g:none", "-cp", path]
    subprocess.run([*command, "-d", str(out), *map(str, sources)], check=True)
    return out


def compile_kotlin(sources: Sequence[Path], out: Path, *libraries: Path) -> Path:
    """Classes of Kotlin sources in the folder `out`; a warning is an error."""
    compiler = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
    command = ["java", "-cp", f"{KOTLIN}/lib/*", compiler, "-kotlin-home", str(KOTLIN)]
    command += ["-Werror", "-no-reflect", "-jvm-target", "1.8"]
    command += ["-cp", ":".join(map(str, libraries)), "-d", str(out)]
    subprocess.run([*command, *map(str, sources)], check=True)
    return out


def standin_sources() -> list[Path]:
    """Of all but org.json, which is there for real."""
    return [path for path in sorted(STANDINS.rglob("*.java")) if path.parent.name != "json"]


def java(main: str, *arguments: str | Path, classes: Sequence[Path]) -> str:
    """Runs a class with the real runtimes behind the stand-ins, and returns what it printed."""
    command = ["java", f"-Dpython={sys.executable}", f"-Dserve={HERE / 'serve_model.py'}"]
    command += ["-cp", ":".join(map(str, [*classes, JSON_JAR])), main, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def drive(jobs: list[dict[str, Any]], folder: Path, classes: Sequence[Path]) -> list[Any]:
    """What came of the jobs; see android/Drive.java."""
    job, result = folder / "job.json", folder / "result.json"
    job.write_text(json.dumps(jobs, default=str), encoding="utf-8")
    java("Drive", job, result, classes=classes)
    return json.loads(result.read_text(encoding="utf-8"))


NAMES = {
    "digits": "digitsclassifier.DigitsClassifier",
    "photos": "photosclassifier.PhotosClassifier",
    "speech": "speechclassifier.SpeechClassifier",
    "shop": "shopclassifier.ShopClassifier",
    "wear": "wearregressor.WearRegressor",
}
"""Of the bundles' classes, in com.example."""


def archive(out: Path, suffix: str) -> Path:
    """The only file of the repository with this ending."""
    (found,) = (out / "android/maven").rglob(f"*{suffix}")
    return found


def make_bundles(folder: Path) -> dict[str, tuple[Path, Path, Path]]:
    """By the model's name: the run, the folder of its bundle, and that of its unpacked AAR."""
    bundles = {}
    for name in MODELS:
        run = make_run(folder, name)
        package(run, read_summary(run), ["android"], version="1.2.0", out=run / "out")
        ZipFile(archive(run / "out", ".aar")).extractall(run / "aar")
        bundles[name] = (run, run / "out", run / "aar")
    return bundles
