"""Linux: a wheel that needs numpy and LiteRT, or ONNX Runtime where the run has no TFLite file.

The wheel is written as the binary distribution format says
(https://packaging.python.org/specifications/binary-distribution-format/), with fixed dates.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path

from edgekd.keys import installed_version
from edgekd.package.archive import zip_bytes
from edgekd.package.asked import Asked, asked_of
from edgekd.package.contents import contents
from edgekd.package.deployable import Deployable, DeployedFile

FORMATS = ("tflite", "onnx")
REQUIRES = {"tflite": "ai-edge-litert>=2.1", "onnx": "onnxruntime>=1.17"}
CODE = "edgekd.package.linux_code"
TYPES = {
    "pixels": "NDArray[np.uint8]",
    "samples": "NDArray[np.floating] | NDArray[np.int16]",
    "row": "Mapping[str, float | str | None]",
    "several": "Mapping[str, NDArray[Any]]",
    "values": "NDArray[Any]",
}
"""Of the argument, by `Asked.kind`."""

INIT = '''"""{about}, with its preprocessing. See data/MODEL_CARD.md."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bundle import BundleError
from .model import Category, Model, Number

__version__ = "{version}"
__all__ = ["BundleError", "Category", "{name}", "Number", "predict"]


class {name}(Model):
    """The model, loaded and checked. Several threads may share it."""

    @classmethod
    def create(cls, threads: int = 1) -> {name}:
        """Loads it.

        Args:
            threads: that the runtime computes with.

        Raises:
            BundleError: the bundle is damaged, or its runtime is not installed.
        """
        return cls(Path(__file__).parent / "data", threads)

    def {asks}(self, {argument}: {type}) -> {answer}:
        """{told}

        Args:
            {argument}: {what}.

        Raises:
            ValueError: it is no such thing.
        """
        return self.{inner}({argument})


_shared: list[{name}] = []
_making = threading.Lock()


def predict({argument}: {type}) -> {answer}:
    """The same of one model for all callers, which is loaded at the first call."""
    with _making:
        if not _shared:
            _shared.append({name}.create())
    return _shared[0].{asks}({argument})
'''
MAIN = '''"""The command."""

import sys

from . import {name}, __version__
from .command import main


def run() -> int:
    """Reads the command line."""
    return main({name}.create, "{artefact}", __version__)


if __name__ == "__main__":
    sys.exit(run())
'''


class Linux:
    """See the module."""

    def write(self, model: Deployable, out: Path) -> DeployedFile:
        """See `Target.write`."""
        file = model.file("linux", FORMATS)
        names = model.names
        files = {f"{names.module}/{path}": content for path, content in _code(model).items()}
        for name, content in contents(model, file).items():
            files[f"{names.module}/data/{name}"] = content
        about = f"{names.module}-{model.version}.dist-info"
        for name, text in _metadata(model, file).items():
            files[f"{about}/{name}"] = text.encode()
        files[f"{about}/RECORD"] = _record(files, f"{about}/RECORD")
        wheel = out / f"{names.module}-{model.version}-py3-none-any.whl"
        wheel.write_bytes(zip_bytes(files))
        return file


def _code(model: Deployable) -> dict[str, bytes]:
    """The package's modules: edgekd's own, and the two that know the model's name."""
    asked, names = asked_of(model.spec), model.names
    regression = model.spec.task == "regression"
    init = INIT.format(
        about=f"{names.artefact} {model.version}",
        version=model.version,
        name=names.class_name,
        asks=names.asks,
        argument=asked.name,
        type=_type(asked),
        what=asked.about,
        answer="Number" if regression else "list[Category]",
        told="The answer in the target's own unit."
        if regression
        else "All labels with their scores, the best first.",
        inner="numbers" if regression else "categories",
    )
    main = MAIN.format(name=names.class_name, artefact=names.artefact)
    own = {
        each.name: each.read_bytes()
        for each in sorted(resources.files(CODE).iterdir(), key=lambda each: each.name)
        if each.name.endswith(".py") and each.name != "__init__.py"
    }
    return {"__init__.py": init.encode(), "__main__.py": main.encode(), **own, "py.typed": b""}


def _type(asked: Asked) -> str:
    return TYPES[asked.kind]


def _metadata(model: Deployable, file: DeployedFile) -> dict[str, str]:
    names, facts = model.names, file.facts
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {names.artefact}",
        f"Version: {model.version}",
        f"Summary: {_line(facts['description'])}",
    ]
    lines += [f"Author: {_line(facts['author'])}"] if facts["author"] else []
    lines += [f"License: {_line(facts['license'])}"] if facts["license"] else []
    lines += [
        "Requires-Python: >=3.9",
        "Requires-Dist: numpy>=1.21",
        f"Requires-Dist: {REQUIRES[file.format]}",
    ]
    wheel = (
        f"Wheel-Version: 1.0\nGenerator: edgekd {installed_version('edgekd')}\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n"
    )
    command = f"[console_scripts]\n{names.artefact} = {names.module}.__main__:run\n"
    return {"METADATA": "\n".join(lines) + "\n", "WHEEL": wheel, "entry_points.txt": command}


def _line(text: str) -> str:
    """On one line, as a header's value has to be."""
    return " ".join(text.split())


def _record(files: dict[str, bytes], own: str) -> bytes:
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}")
    return ("\n".join([*lines, f"{own},,"]) + "\n").encode()


TARGET = Linux()
