"""`edgekd predict`: a deployed model's answers about a user's own files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError
from edgekd.runtimes.inputs import read_samples
from edgekd.runtimes.loaded import load


@dataclass(frozen=True)
class Prediction:
    """The answer to one sample. Probabilities are the softmax of the logits."""

    file: Path
    row: int
    """Number of the sample in its file, from 0."""
    samples: int
    """Samples of the file."""
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    """The most probable labels with their probabilities, best first."""

    def __str__(self) -> str:
        place = f"{self.file}[{self.row}]" if self.samples > 1 else str(self.file)
        answers = ", ".join(f"{label} {probability:.1%}" for label, probability in self.top)
        return f"{place}: {answers}"


def predict(path: Path, files: Sequence[Path], top: int = 3, threads: int = 1) -> list[Prediction]:
    """Asks the model of `path` about the samples of `files`, in its own runtime.

    Args:
        path: an .onnx or .tflite file that edgekd exported.
        files: pictures, .npy arrays or .csv rows; see `read_samples`.
        top: answers to keep of each sample.

    Raises:
        EdgekdError: the model cannot be loaded, or does not tell how its input is made.
        DataError: a file cannot be read or does not fit the model.
    """
    runtime = load(path, threads)
    deployed = runtime.describe()
    if deployed is None:
        raise EdgekdError(
            "This file does not tell how its input is made and what its answers mean.",
            where=str(path),
            fix="export it again with edgekd, which writes that into the file",
        )
    spec = deployed.model
    read = [(file, read_samples(file, spec.input)) for file in files]
    found = []
    for file, raw in read:
        rows = softmax(runtime.run(spec.input.normalise(raw)))
        if rows.shape[1:] != (len(spec.labels),):
            raise EdgekdError(
                f"The model gives {rows.shape[-1]} answers for {len(spec.labels)} labels.",
                where=str(path),
                fix="export it again with edgekd",
            )
        for row, probabilities in enumerate(rows):
            best = np.argsort(-probabilities, kind="stable")[:top]
            answers = tuple((spec.labels[i], float(probabilities[i])) for i in best)
            found.append(Prediction(file, row, len(rows), *answers[0], answers))
    return found


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (B, C) of logits (B, C)."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
