"""Makes `classes/` of `java/`: `python -m edgekd.package.android_code.compile STANDINS`.

Only for those who change the Java sources; a packaging takes the classes as they are. It needs a
JDK and, in STANDINS, the sources of as much of Android, LiteRT, ONNX Runtime and org.json as is
used (tests/package/android/standins). The classes are for Java 8, as every Android SDK takes them,
and the same compiler gives the same bytes: a test compiles again and compares. They have no line
numbers, which would be a tenth of a small bundle.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edgekd.package.android_code.aar import ASKS, CLASSES, JAVA
from edgekd.package.android_code.java_class import source, template_of
from edgekd.package.facade import FACADES


def compile_all(standins: Path, out: Path) -> None:
    """Writes OUT/GROUP/NAME.class of every group.

    Raises:
        subprocess.CalledProcessError: a source does not compile; javac has said why.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        facades = work / "facades"
        facades.mkdir()
        for facade in FACADES:
            (facades / f"{template_of(facade)}.java").write_text(source(facade, ASKS))
        common = [JAVA / "common", JAVA / "litert", facades]
        first = _javac(common, standins, work / "litert")
        second = _javac([JAVA / "onnxruntime"], standins, work / "onnxruntime", first)
        for group, made in [*((each, first) for each in common), (JAVA / "onnxruntime", second)]:
            target = out / group.name
            target.mkdir(parents=True)
            for path in made.rglob("*.class"):
                outer = path.stem.partition("$")[0]
                if (group / f"{outer}.java").is_file():
                    shutil.copyfile(path, target / path.name)


def _javac(groups: list[Path], standins: Path, out: Path, *classes: Path) -> Path:
    """Compiles the sources of some folders; of the stand-ins nothing is written."""
    out.mkdir()
    sources = [str(path) for group in groups for path in sorted(group.glob("*.java"))]
    command = ["javac", "--release", "8", "-encoding", "UTF-8", "-Xlint:-options", "-g:none"]
    command += ["-implicit:none", "-sourcepath", str(standins), "-cp", ":".join(map(str, classes))]
    subprocess.run([*command, "-d", str(out), *sources], check=True)
    return out


if __name__ == "__main__":
    if CLASSES.is_dir():
        shutil.rmtree(CLASSES)
    compile_all(Path(sys.argv[1]), CLASSES)
