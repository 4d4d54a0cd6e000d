"""Android: an AAR in a Maven repository, so that an app adds a repository and one line.

    OUT/maven        the repository: GROUP/ARTEFACT/VERSION/{.aar, .pom, .module, -sources.jar}
    OUT/androidTest  Kotlin: the golden samples as an instrumented test, and a benchmark
    OUT/raw          the AAR's assets
    OUT/README.md    the lines that an app adds

No JDK and no Android SDK is needed: the classes are compiled (`android_code`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgekd.package.android_code.aar import Library, aar, sources_jar
from edgekd.package.android_code.java_class import argument_of
from edgekd.package.android_code.maven import Artefact, Coordinates, write_repository
from edgekd.package.android_code.samples import README, kotlin_files
from edgekd.package.contents import contents
from edgekd.package.deployable import Deployable, DeployedFile
from edgekd.package.facade import GIVES, TAKES, facade_of
from edgekd.package.manifest import MANIFEST
from edgekd.package.spec_file import model_name

FORMATS = ("tflite", "onnx")
GROUP = "com.example"
RUNTIMES = {
    "tflite": ("litert", Coordinates("com.google.ai.edge.litert", "litert", "2.3.0")),
    "onnx": (
        "onnxruntime",
        Coordinates("com.microsoft.onnxruntime", "onnxruntime-android", "1.27.0"),
    ),
}
"""Of a file's format: the folder of android_code/java, and the library with the runtime."""


class Android:
    """See the module."""

    def write(self, model: Deployable, out: Path) -> DeployedFile:
        """See `Target.write`."""
        file = model.file("android", FORMATS)
        files = contents(model, file)
        library = _library(model, file, files[MANIFEST])
        at = Coordinates(GROUP, model.names.artefact, model.version)
        artefact = Artefact(
            at=at,
            description=file.facts["description"],
            license=file.facts["license"],
            needs=(RUNTIMES[file.format][1],),
            aar=aar(library, files, model_name(file)),
            sources=sources_jar(library),
        )
        write_repository(artefact, out / "maven")
        texts = {f"androidTest/{name}": text for name, text in kotlin_files(library).items()}
        texts["README.md"] = _readme(library, at)
        made = {path: text.encode() for path, text in texts.items()}
        made |= {f"raw/{name}": content for name, content in files.items()}
        for path, content in made.items():
            (out / path).parent.mkdir(exist_ok=True)
            (out / path).write_bytes(content)
        return file


def _library(model: Deployable, file: DeployedFile, manifest: bytes) -> Library:
    names = model.names
    return Library(
        package=f"{GROUP}.{names.module.replace('_', '')}",
        class_name=names.class_name,
        asks=names.asks,
        facade=facade_of(model.spec),
        runtime=RUNTIMES[file.format][0],
        sha256=hashlib.sha256(manifest).hexdigest(),
        about=f"{names.artefact} {model.version}: {file.facts['description']}",
    )


def _readme(library: Library, at: Coordinates) -> str:
    return README.format(
        artefact=at.artefact,
        version=at.version,
        about=library.about,
        coordinates=at,
        name=library.class_name,
        asks=library.asks,
        argument=argument_of(library.facade),
        argument_is=TAKES[library.facade.reader][1],
        gives_is=GIVES[library.facade.answer],
        package=library.package,
    )


TARGET = Android()
