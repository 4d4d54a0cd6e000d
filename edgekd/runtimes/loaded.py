"""The agent's model files as runtimes of edgekd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edgekd.agent import agent
from edgekd.errors import DataError, EdgekdError
from edgekd.spec import DeployedSpec, Quantization

E = TypeVar("E", bound=EdgekdError)


@dataclass(frozen=True)
class Taken:
    """An input of a file, as its runtime tells it."""

    name: str
    shape: tuple[int, ...]
    """With the batch; an open axis is -1."""
    dtype: Any
    scale: Quantization | None
    """Of a quantized TFLite input."""


class LoadedFile:
    """An .onnx or .tflite file, run by the agent's code. Implements `Runtime`."""

    def __init__(self, path: Path, file: agent.ModelFile, spec: DeployedSpec | None) -> None:
        self._path = path
        self._file = file
        self._spec = spec

    @property
    def name(self) -> str:
        """`onnxruntime` or `litert`."""
        return self._file.runtime

    @property
    def version(self) -> str:
        """Version of the runtime's library."""
        return self._file.version

    def describe(self) -> DeployedSpec | None:
        """What the file tells about itself; None for a file that edgekd did not export."""
        return self._spec

    def only_input(self) -> Taken:
        """What a file with one input takes.

        Raises:
            DataError: it has several.
        """
        if len(self._file.inputs) != 1:
            names = ", ".join(name for name, _shape, _dtype in self._file.inputs)
            raise DataError(
                f"This file has {len(self._file.inputs)} inputs and does not tell what they are, "
                "so data cannot be fed to it.",
                where=f"{self._path}: {names}",
                fix="leave the data out: times are measured with random inputs",
            )
        ((name, shape, dtype),) = self._file.inputs
        scales = self._file.input_scales[0] if self._file.input_scales else None
        return Taken(name, shape, dtype, None if scales is None else Quantization(**scales))

    def take_output(self, name: str) -> None:
        """Of a file with several outputs that edgekd did not export: which one `run` gives."""
        self._file.wanted = name

    def run(self, x: Any) -> NDArray[np.float32]:
        """See `Runtime.run`."""
        try:
            return self._file.run(x)
        except agent.AgentError as error:
            raise explained(error, DataError) from error

    def run_placed(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The output tensor for input tensors that are laid out and typed as the file takes them,
        by their names."""
        self._file.use(self._file.place([arrays[name] for name, *_ in self._file.inputs]))
        self._file.invoke()
        return np.array(self._file.outputs()[self._file.answer])

    def run_integers(self, x: Any) -> NDArray[np.int8]:
        """See `Runtime.run_integers`."""
        try:
            raw = self._file.run_raw(x)
        except agent.AgentError as error:
            raise explained(error, DataError) from error
        if raw.dtype != np.int8:
            raise DataError(f"This model's output is {raw.dtype}, not int8.", where=str(self._path))
        return raw


def load(path: Path, threads: int = 1) -> LoadedFile:
    """The model of an .onnx or .tflite file in its runtime.

    Args:
        threads: threads that the runtime computes with.

    Raises:
        EdgekdError: no such file, another format, a damaged file, or the runtime is missing.
    """
    check_file(path)
    try:
        file = agent.load(str(path), threads)
    except agent.AgentError as error:
        raise explained(error, EdgekdError) from error
    return LoadedFile(path, file, _spec(file, path))


def check_file(path: Path) -> None:
    """Reads a file within its bounds first: a damaged one may end a runtime's process.

    Raises:
        EdgekdError: it is damaged; files of other kinds and missing ones pass.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    if path.suffix.lower() == ".onnx":
        from edgekd.runtimes.check_onnx import read_onnx

        read_onnx(path)
    elif path.suffix.lower() == ".tflite":
        from edgekd.runtimes.check_tflite import check_tflite

        check_tflite(path)


def _spec(file: agent.ModelFile, path: Path) -> DeployedSpec | None:
    if file.metadata is None:
        return None
    try:
        return DeployedSpec.model_validate(file.metadata)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise EdgekdError(
            "The edgekd entry of this file does not fit this version of edgekd.",
            where=f"{path}, field {field}: {first['msg']}",
            fix="export it again with this version",
        ) from error


def explained(error: agent.AgentError, kind: type[E]) -> E:
    """The agent's error as one of edgekd's."""
    return kind(error.what, where=error.where, fix=error.fix)
