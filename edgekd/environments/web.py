"""The runtimes that run in browsers: files of npm packages, fetched once and checked.

ENVIRONMENTS/web-KEY/PACKAGE/...       the files that are served
ENVIRONMENTS/web-KEY/complete.json     written last: without it the folder is a remainder

Of each package npm fetches the one archive, as its settings (registry, proxy) say. The archive
must have the SHA-512 that is pinned here; nothing of it is run, no package that it depends on is
fetched, and only the files that are named are unpacked.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from edgekd.environments.make import COMPLETE, EnvironmentMissing, environments_folder
from edgekd.progress import SILENT, Progress
from edgekd.store import digest, locked, write_json

FETCHING = 600.0
"""Seconds that npm may take for an archive."""
WEB = "web"
"""What they are called beside `ENVIRONMENTS`."""
SIZE = "70 MB"


@dataclass(frozen=True)
class Package:
    """An npm package."""

    name: str
    version: str
    sha512: str
    """Of its archive, in base64: npm calls it `integrity`."""
    folder: str
    """What it is called in the environment."""
    files: tuple[str, ...]
    """What is unpacked, as paths in the package; they lie in `folder` by their bare names."""
    changes: tuple[tuple[str, str], ...] = ()
    """Texts of its first file and what stands there instead."""


PACKAGES = (
    Package(
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        "ort",
        (
            "dist/ort.wasm.min.mjs",
            "dist/ort-wasm-simd-threaded.mjs",
            "dist/ort-wasm-simd-threaded.wasm",
            "dist/ort.webgpu.min.mjs",
            "dist/ort-wasm-simd-threaded.asyncify.mjs",
            "dist/ort-wasm-simd-threaded.asyncify.wasm",
        ),
    ),
    Package(
        "@litertjs/core",
        "2.5.3",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        "litert",
        (
            "dist/index.js",
            *(
                f"wasm/litert_wasm{kind}_internal.{end}"
                for kind in ("", "_compat", "_threaded")
                for end in ("js", "wasm")
            ),
        ),
        (
            # A worker finds no package by its bare name.
            ('"@litertjs/wasm-utils"', '"../wasm-utils/index.js"'),
            # Its list of tensors' types has float32, int32 and uint8; the WebAssembly has int8 too,
            # and the sources after this version list it.
            (
                "elementType: ElementType.UINT8\n  }\n]);",
                "elementType: ElementType.UINT8\n  },\n  {\n    dtype: 'int8',\n    "
                "typedArrayConstructor: Int8Array,\n    elementType: ElementType.INT8\n  }\n]);",
            ),
        ),
    ),
    Package(
        "@litertjs/wasm-utils",
        "2.5.3",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        "wasm-utils",
        ("dist/index.js",),
    ),
)


def web_runtimes(progress: Progress = SILENT) -> Path:
    """The folder of the files, which are fetched if they are not there.

    Raises:
        EnvironmentMissing: npm is missing, cannot reach its registry, or fetched something else.
    """
    folder = environments_folder() / f"{WEB}-{web_key()}"
    if made_web() is not None:
        return folder

    def waiting() -> None:
        progress.message("another process fetches the browser's runtimes: waiting for it")

    with locked(folder.with_name(f"{folder.name}.lock"), waiting):
        if made_web() is None:
            progress.message(f"fetching the browser's runtimes, once ({SIZE}): {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            for package in PACKAGES:
                with tempfile.TemporaryDirectory(prefix="edgekd-npm-") as passing:
                    _unpack(package, _fetch(package, Path(passing)), folder / package.folder)
            write_json(folder / COMPLETE, {p.name: p.version for p in PACKAGES})
    return folder


def web_key() -> str:
    """What tells one set of files from another."""
    return digest([asdict(package) for package in PACKAGES])


def made_web() -> Path | None:
    """The folder, if it is whole."""
    folder = environments_folder() / f"{WEB}-{web_key()}"
    return folder if (folder / COMPLETE).is_file() else None


def web_versions() -> dict[str, str]:
    """The packages' versions by their folder."""
    return {package.folder: package.version for package in PACKAGES}


def _fetch(package: Package, folder: Path) -> Path:
    """The package's archive, checked."""
    spec = f"{package.name}@{package.version}"
    if shutil.which("npm") is None:
        raise EnvironmentMissing(
            "The runtimes for browsers come from npm, which is not installed.",
            where=spec,
            fix="install Node.js with npm (Debian: sudo apt install npm); they are fetched once, "
            f"and kept in {environments_folder()}",
        )
    command = ["npm", "pack", spec, "--pack-destination", str(folder), "--ignore-scripts"]
    try:
        done = subprocess.run(
            [*command, "--silent", "--no-update-notifier"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=FETCHING,
        )
        said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentMissing("npm cannot be run.", where=f"{spec}: {error}") from error
    archives = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise EnvironmentMissing(
            "npm could not fetch a package.",
            where=f"{spec}: {(said or ['no reason was given'])[-1][:400]}",
            fix=f"look at the network (npm must reach its registry: npm view {spec} version) and "
            "at the free disk",
        )
    with archives[0].open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if found != package.sha512:
        raise EnvironmentMissing(
            "The archive that npm fetched is not the one that is pinned.",
            where=f"{spec}: SHA-512 {found[:16]}..., expected {package.sha512[:16]}...",
            fix="see which registry npm uses (npm config get registry), and whether it serves the "
            "original packages",
        )
    return archives[0]


def _unpack(package: Package, archive: Path, folder: Path) -> None:
    """Writes the package's files, each under its bare name."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "r:gz") as content:
        for name in package.files:
            member = content.extractfile(f"package/{name}")
            assert member is not None, name
            with member, open(folder / Path(name).name, "wb") as file:
                shutil.copyfileobj(member, file)
    code = folder / Path(package.files[0]).name
    for found, instead in package.changes:
        text = code.read_text(encoding="utf-8")
        assert text.count(found) == 1, found
        code.write_text(text.replace(found, instead), encoding="utf-8")
