"""What a file's outputs on a device are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.bench.data import Test
from edgekd.devices import Device
from edgekd.errors import DataError
from edgekd.inputs import SINGLE, named
from edgekd.results import Accuracy, MetricFigures
from edgekd.runtimes import load
from edgekd.spec import InputSpec, ModelSpec, Task

OUTPUTS = "outputs.npy"
"""What a job calls the file of its outputs."""


@dataclass(frozen=True)
class Judged:
    """What a file's outputs on a device are worth."""

    score: Accuracy | None = None
    """The headline score."""
    metrics: Sequence[MetricFigures] = ()
    """Every metric."""
    same: int | None = None
    """Samples that are answered as on this machine; None where the device is this machine."""


class Scores:
    """The test data, and what a file's outputs are worth."""

    def __init__(
        self,
        test: Test,
        spec: ModelSpec | None,
        folder: Path,
        answer: str | None = None,
        *,
        foreign: bool = False,
    ) -> None:
        x, self.y = test
        self.spec = spec
        self.answer = answer
        self.foreign = foreign
        self.inputs: dict[str, Path] = {}
        self.folder = folder
        self._known: dict[Path, NDArray[np.float32]] = {}
        for number, (name, values) in enumerate(named(x).items()):
            self.inputs[name] = folder / f"inputs{number}.npy"
            np.save(self.inputs[name], values, allow_pickle=False)

    def push(self, device: Device) -> dict[str, Any]:
        """The agent's field for the inputs: the path of the only one, or paths by name."""
        paths = {name: device.push(path) for name, path in self.inputs.items()}
        given = {} if self.answer is None else {"answer": self.answer}
        return {"inputs": paths.get(SINGLE, paths), **given}

    def judge(self, device: Device, runtime: str, model: Path, *, here: bool) -> Judged:
        """What the outputs that the last job wrote are worth.

        Args:
            model: the file.
            here: whether the device is this machine, with which there is nothing to compare then.
        """
        from edgekd.tasks import metrics

        received = self.folder / f"{device.name}-{OUTPUTS}"  # several devices may work at once
        device.pull(OUTPUTS, received)
        outputs = _rows(np.load(received, allow_pickle=False))
        spec = self.spec or _of_classes(outputs.shape[1])
        if outputs.shape[1] != len(spec.labels):
            raise DataError(
                f"The model gives {outputs.shape[1]} answers, and the data has "
                f"{len(spec.labels)} labels.",
                where=", ".join(spec.labels[:6]),
                fix="give data with the classes that the model was trained on",
            )
        task = spec.task
        outputs = self._signed(outputs, task)
        same = None if here else same_answers(outputs, self._signed(self._here(model), task), task)
        return Judged(*metrics.judge(spec, outputs, self.y, runtime=runtime, split="test"), same)

    def _signed(self, outputs: NDArray[np.float32], task: Task) -> NDArray[np.float32]:
        """Outputs of several labels are judged by their sign, and some files give probabilities."""
        if self.foreign and task == "multilabel" and 0 <= outputs.min() <= outputs.max() <= 1:
            return outputs - np.float32(0.5)
        return outputs

    def _here(self, model: Path) -> NDArray[np.float32]:
        """What the file gives on this machine, computed once for all devices."""
        if model not in self._known:
            file = load(model)
            if self.answer is not None:
                file.take_output(self.answer)
            x = {name: np.load(path, allow_pickle=False) for name, path in self.inputs.items()}
            self._known[model] = _rows(file.run(x.get(SINGLE, x)))
        return self._known[model]


def same_answers(there: NDArray[np.float32], here: NDArray[np.float32], task: Task) -> int | None:
    """How many of two machines' outputs (N, C) for the same samples are one answer: the same class,
    or of several labels the same ones. None of a regression, which has no answers to be the same.
    """
    if task == "regression":
        return None
    if task == "multilabel":
        return int(((there > 0) == (here > 0)).all(axis=1).sum())
    return int((there.argmax(axis=1) == here.argmax(axis=1)).sum())


def _rows(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return outputs.reshape(len(outputs), -1)  # some files answer (N, 1, 1, C)


def _of_classes(count: int) -> ModelSpec:
    anything = InputSpec(kind="row", shape=(1,), mean=(0.0,), std=(1.0,))
    return ModelSpec(name="", input=anything, labels=tuple(map(str, range(count))))
