"""A library in a Maven repository: https://maven.apache.org/repository/layout.html.

Beside the POM lies Gradle's module metadata, which Gradle prefers:
https://github.com/gradle/gradle/blob/master/platforms/documentation/docs/src/docs/design/gradle-module-metadata-latest-specification.md
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

DIGESTS = ("md5", "sha1", "sha256", "sha512")


@dataclass(frozen=True)
class Coordinates:
    """group:artefact:version."""

    group: str
    artefact: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}:{self.artefact}:{self.version}"


@dataclass(frozen=True)
class Artefact:
    """What is published."""

    at: Coordinates
    description: str
    license: str
    """Its name; "" where nobody said."""
    needs: tuple[Coordinates, ...]
    """Libraries that it runs with."""
    aar: bytes
    sources: bytes


POM = """\
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://maven.apache.org/POM/4.0.0 https://maven.apache.org/xsd/maven-4.0.0.xsd">
  <!-- do_not_remove: published-with-gradle-metadata -->
  <modelVersion>4.0.0</modelVersion>
  <groupId>{group}</groupId>
  <artifactId>{artefact}</artifactId>
  <version>{version}</version>
  <packaging>aar</packaging>
  <name>{artefact}</name>
  <description>{description}</description>
{licenses}  <dependencies>
{dependencies}  </dependencies>
</project>
"""
LICENSE = """\
  <licenses>
    <license>
      <name>{name}</name>
    </license>
  </licenses>
"""
DEPENDENCY = """\
    <dependency>
      <groupId>{group}</groupId>
      <artifactId>{artefact}</artifactId>
      <version>{version}</version>
      <type>aar</type>
      <scope>runtime</scope>
    </dependency>
"""
VERSIONS = """\
<?xml version="1.0" encoding="UTF-8"?>
<metadata>
  <groupId>{group}</groupId>
  <artifactId>{artefact}</artifactId>
  <versioning>
    <latest>{version}</latest>
    <release>{version}</release>
    <versions>
      <version>{version}</version>
    </versions>
  </versioning>
</metadata>
"""


def write_repository(artefact: Artefact, root: Path) -> Path:
    """Writes the repository into `root`, and returns the folder of the version."""
    at = artefact.at
    home = root.joinpath(*at.group.split("."), at.artefact)
    folder = home / at.version
    folder.mkdir(parents=True)
    stem = f"{at.artefact}-{at.version}"
    archives = {f"{stem}.aar": artefact.aar, f"{stem}-sources.jar": artefact.sources}
    module = json.dumps(_module(artefact, archives), indent=2) + "\n"
    files = {
        **{folder / name: content for name, content in archives.items()},
        folder / f"{stem}.pom": _pom(artefact).encode(),
        folder / f"{stem}.module": module.encode(),
        home / "maven-metadata.xml": VERSIONS.format(**_fields(at)).encode(),
    }
    for path, content in files.items():
        path.write_bytes(content)
        for kind, digest in _digests(content).items():
            path.with_name(f"{path.name}.{kind}").write_text(digest)
    return folder


def _fields(at: Coordinates) -> dict[str, str]:
    return {"group": at.group, "artefact": at.artefact, "version": at.version}


def _digests(content: bytes) -> dict[str, str]:
    return {kind: hashlib.new(kind, content, usedforsecurity=False).hexdigest() for kind in DIGESTS}


def _pom(artefact: Artefact) -> str:
    license_name = escape(artefact.license)
    return POM.format(
        **_fields(artefact.at),
        description=escape(" ".join(artefact.description.split())),
        licenses=LICENSE.format(name=license_name) if license_name else "",
        dependencies="".join(DEPENDENCY.format(**_fields(one)) for one in artefact.needs),
    )


def _module(artefact: Artefact, archives: Mapping[str, bytes]) -> dict[str, Any]:
    """As the Android Gradle Plugin publishes a library: one variant to compile against, one to run
    with, one of sources.
    """
    (aar, sources), at = archives, artefact.at
    library = {
        "org.gradle.category": "library",
        "org.gradle.dependency.bundling": "external",
        "org.gradle.libraryelements": "aar",
    }
    documents = {
        "org.gradle.category": "documentation",
        "org.gradle.dependency.bundling": "external",
        "org.gradle.docstype": "sources",
    }
    needs = [
        {"group": one.group, "module": one.artefact, "version": {"requires": one.version}}
        for one in artefact.needs
    ]

    def variant(name: str, attributes: dict[str, str], usage: str, file: str) -> dict[str, Any]:
        content = archives[file]
        entry = {"name": file, "url": file, "size": len(content), **_digests(content)}
        return {
            "name": name,
            "attributes": {**attributes, "org.gradle.usage": usage},
            **({"dependencies": needs} if name == "releaseRuntimeElements" else {}),
            "files": [entry],
        }

    return {
        "formatVersion": "1.1",
        "component": {
            "group": at.group,
            "module": at.artefact,
            "version": at.version,
            "attributes": {"org.gradle.status": "release"},
        },
        "variants": [
            variant("releaseApiElements", library, "java-api", aar),
            variant("releaseRuntimeElements", library, "java-runtime", aar),
            variant("releaseSourcesElements", documents, "java-runtime", sources),
        ],
    }
