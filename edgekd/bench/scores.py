"""What a file's outputs on a device are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekd.bench.data import Test
from edgekd.devices import Device
from edgekd.errors import DataError
from edgekd.inputs import SINGLE, named
from edgekd.results import Accuracy, MetricFigures
from edgekd.spec import InputSpec, ModelSpec

OUTPUTS = "outputs.npy"
"""What a job calls the file of its outputs."""
Judged = tuple[Accuracy | None, list[MetricFigures]]


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
        for number, (name, values) in enumerate(named(x).items()):
            self.inputs[name] = folder / f"inputs{number}.npy"
            np.save(self.inputs[name], values, allow_pickle=False)

    def push(self, device: Device) -> dict[str, Any]:
        """The agent's field for the inputs: the path of the only one, or paths by name."""
        paths = {name: device.push(path) for name, path in self.inputs.items()}
        given = {} if self.answer is None else {"answer": self.answer}
        return {"inputs": paths.get(SINGLE, paths), **given}

    def judge(self, device: Device, runtime: str) -> Judged:
        """The headline score and every metric of the outputs that the last job wrote."""
        from edgekd.tasks import metrics

        received = self.folder / f"{device.name}-{OUTPUTS}"  # several devices may work at once
        device.pull(OUTPUTS, received)
        outputs = np.load(received, allow_pickle=False)
        outputs = outputs.reshape(len(outputs), -1)  # some files answer (N, 1, 1, C)
        spec = self.spec or _of_classes(outputs.shape[1])
        if outputs.shape[1] != len(spec.labels):
            raise DataError(
                f"The model gives {outputs.shape[1]} answers, and the data has "
                f"{len(spec.labels)} labels.",
                where=", ".join(spec.labels[:6]),
                fix="give data with the classes that the model was trained on",
            )
        if self.foreign and spec.task == "multilabel" and 0 <= outputs.min() <= outputs.max() <= 1:
            outputs = outputs - np.float32(0.5)  # probabilities: logits are judged by their sign
        return metrics.judge(spec, outputs, self.y, runtime=runtime, split="test")


def _of_classes(count: int) -> ModelSpec:
    anything = InputSpec(kind="row", shape=(1,), mean=(0.0,), std=(1.0,))
    return ModelSpec(name="", input=anything, labels=tuple(map(str, range(count))))
