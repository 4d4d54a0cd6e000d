"""`edgekd predict`: a deployed model's answers about a user's own files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError
from edgekd.runtimes.inputs import SOUNDS, read_recording, read_samples
from edgekd.runtimes.loaded import load
from edgekd.spec import DeployedSpec, InputSpec, ModelSpec, Task

THRESHOLD = 0.5
"""A label of several applies where its probability is above this: its logit is above 0."""


@dataclass(frozen=True)
class Prediction:
    """The answer to one sample.

    Of classes, probabilities are the softmax of the logits. Of several labels, they are sigmoids,
    and `top` has all that are above 0.5. Of a regression there are none: `values` has the numbers.
    """

    file: Path
    row: int
    """Number of the sample in its file, from 0."""
    samples: int
    """Samples of the file."""
    label: str
    """The most probable one, also where no label is above 0.5; "" of a regression."""
    probability: float
    """Of `label`; NaN of a regression."""
    top: tuple[tuple[str, float], ...]
    """The most probable labels with their probabilities, best first."""
    task: Task = "classification"
    values: tuple[tuple[str, float], ...] = ()
    """A regression's targets with their answers, in raw units."""

    def __str__(self) -> str:
        place = f"{self.file}[{self.row}]" if self.samples > 1 else str(self.file)
        if self.task == "regression":
            return f"{place}: " + ", ".join(f"{name} {value:.6g}" for name, value in self.values)
        if not self.top:
            return f"{place}: no label ({self.label} {self.probability:.1%})"
        answers = ", ".join(f"{label} {probability:.1%}" for label, probability in self.top)
        return f"{place}: {answers}"


def predict(path: Path, files: Sequence[Path], top: int = 3, threads: int = 1) -> list[Prediction]:
    """Asks the model of `path` about the samples of `files`, in its own runtime.

    Args:
        path: an .onnx or .tflite file that edgekd exported.
        files: pictures, .npy arrays or .csv rows; see `read_samples`.
        top: answers to keep of each sample; of several labels, those above 0.5 are kept.

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
    read = [(file, _given(file, deployed)) for file in files]
    found = []
    for file, x in read:
        rows = runtime.run(x)
        if rows.shape[1:] != (len(spec.labels),):
            raise EdgekdError(
                f"The model gives {rows.shape[-1]} answers for {len(spec.labels)} labels.",
                where=str(path),
                fix="export it again with edgekd",
            )
        answered = _answer(spec, rows, top)
        found += [Prediction(file, row, len(rows), *a) for row, a in enumerate(answered)]
    return found


def _given(file: Path, deployed: DeployedSpec) -> Any:
    """A file's samples, normalised; a recording as it is, where the model makes the features."""
    source = deployed.model.input
    told = source.sound if isinstance(source, InputSpec) else None
    if deployed.preprocess == "baked" and told is not None and file.suffix.lower() in SOUNDS:
        return read_recording(file, told)
    return source.normalise(read_samples(file, source))


Answers = tuple[tuple[str, float], ...]


def _answer(
    spec: ModelSpec, outputs: NDArray[np.float32], top: int
) -> Iterator[tuple[str, float, Answers, Task, Answers]]:
    """The fields of a `Prediction` after the first three, for each of the outputs (B, C)."""
    if spec.task == "regression":
        for numbers in spec.raw_targets(outputs):
            values = tuple(zip(spec.labels, map(float, numbers), strict=True))
            yield "", float("nan"), (), spec.task, values
        return
    several = spec.task == "multilabel"
    for row in sigmoid(outputs) if several else softmax(outputs):
        order = np.argsort(-row, kind="stable")
        best = tuple((spec.labels[i], float(row[i])) for i in order)
        kept = tuple(a for a in best if a[1] > THRESHOLD) if several else best[:top]
        yield *best[0], kept, spec.task, ()


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of each label by itself, as (B, L)."""
    return 0.5 * (1 + np.tanh(logits.astype(np.float64) / 2))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (B, C) of logits (B, C)."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
