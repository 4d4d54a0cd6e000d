"""The AAR: what an Android build takes a library from.

https://developer.android.com/studio/projects/android-library#aar-contents names the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from edgekd.package.android_code.classfile import with_names
from edgekd.package.android_code.java_class import (
    DIGEST,
    FOLDER,
    TEMPLATE_PACKAGE,
    source,
    template_of,
)
from edgekd.package.archive import zip_bytes
from edgekd.package.facade import Facade, Reader

HERE = Path(__file__).parent
JAVA, CLASSES = HERE / "java", HERE / "classes"
ASKS = "ask"
"""The method's name in the templates."""
LEAST_SDK = 24
"""Android 7: what LiteRT 2 and ONNX Runtime ask for."""

MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android"
    package="{package}">

    <uses-sdk android:minSdkVersion="{least}" />

</manifest>
"""
RULES = {
    "litert": """\
# LiteRT's native code finds these classes by their names.
-keep class org.tensorflow.lite.** { *; }
-keep class com.google.ai.edge.litert.** { *; }
-dontwarn org.tensorflow.lite.**
-dontwarn com.google.ai.edge.litert.**
-dontwarn org.jetbrains.annotations.**
""",
    "onnxruntime": """\
# ONNX Runtime's native code finds these classes by their names.
-keep class ai.onnxruntime.** { *; }
-dontwarn org.jetbrains.annotations.**
""",
}


@dataclass(frozen=True)
class Library:
    """What the classes of a bundle are called and what they are for."""

    package: str
    """Its Java package, which is the folder of its assets, too."""
    class_name: str
    asks: str
    facade: Facade
    runtime: str
    """litert or onnxruntime: a folder of `java`."""
    sha256: str
    """Of the assets' manifest.json."""
    about: str
    """A line for the class's documentation."""


def aar(library: Library, assets: Mapping[str, bytes], model: str) -> bytes:
    """The AAR; the model in it is stored as it is, so that a build can map it.

    Args:
        assets: the bundle's files, by their names.
        model: the name of the model's.
    """
    manifest = MANIFEST.format(package=library.package, least=LEAST_SDK)
    files = {
        "AndroidManifest.xml": manifest.encode(),
        "classes.jar": _jar(library),
        "R.txt": b"",
        "proguard.txt": RULES[library.runtime].encode(),
        **{f"assets/{library.package}/{name}": content for name, content in assets.items()},
    }
    return zip_bytes(files, frozenset({f"assets/{library.package}/{model}"}))


def sources_jar(library: Library) -> bytes:
    """The Java source of every class, for reading and for debuggers."""
    folder = library.package.replace(".", "/")
    files = {
        f"{folder}/{path.name}": path.read_text().replace(
            f"package {TEMPLATE_PACKAGE};", f"package {library.package};"
        )
        for path in _used(library, JAVA, ".java")
    }
    files[f"{folder}/{library.class_name}.java"] = source(
        library.facade,
        library.asks,
        package=library.package,
        name=library.class_name,
        folder=library.package,
        sha256=library.sha256,
        about=library.about,
    )
    return zip_bytes({name: text.encode() for name, text in sorted(files.items())})


def _jar(library: Library) -> bytes:
    """The classes, not compressed here: in the AAR they are, together, to two thirds."""
    folder = library.package.replace(".", "/")
    paths = [*_used(library, CLASSES, ".class"), _template(library)]
    names = _names(library)
    files = {}
    for path in paths:
        name = names(path.stem)
        files[f"{folder}/{name}.class"] = with_names(path.read_bytes(), names)
    return zip_bytes(dict(sorted(files.items())), frozenset(files))


def _template(library: Library) -> Path:
    return CLASSES / "facades" / f"{template_of(library.facade)}.class"


def _used(library: Library, root: Path, suffix: str) -> Iterable[Path]:
    """Sources or classes that this library needs: of the readers, its own."""
    unused = set(get_args(Reader)) - {library.facade.reader}
    for group in ("common", library.runtime):
        for path in sorted((root / group).glob(f"*{suffix}")):
            if path.stem.partition("$")[0] not in unused:
                yield path


def _names(library: Library) -> Any:
    """The change of a class file's texts from the templates' to the library's."""
    template = template_of(library.facade)
    ours, theirs = TEMPLATE_PACKAGE.replace(".", "/"), library.package.replace(".", "/")
    constants = {FOLDER: library.package, DIGEST: library.sha256, ASKS: library.asks}

    def change(text: str) -> str:
        if text in constants:
            return constants[text]
        return text.replace(template, library.class_name).replace(f"{ours}/", f"{theirs}/")

    return change
