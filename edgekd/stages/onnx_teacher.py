"""Teacher, given as an .onnx file: adapted to the data, judged in ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekd import inputs
from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.results import ModelFigures
from edgekd.spec import InputSpec
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import judge, note
from edgekd.stages.teachers import FACTS, FILE, onnx_module
from edgekd.store import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from edgekd.data.dataset import Dataset
    from edgekd.export.given_onnx import Adapted

PROBES = 64
"""Validation samples that the file is tried on."""


def take(job: Job[Any], path: Path, settings: OnnxInput) -> Made:
    """Writes the adapted file and what it answers.

    Raises:
        StageError: the file does not fit the data; says where.
    """
    from edgekd.data.dataset import load
    from edgekd.export.given_onnx import adapt

    data = load(job.inputs["data"])
    if not isinstance(data.spec, InputSpec):
        raise StageError(
            "An .onnx teacher takes one input, and the data has several.",
            where=str(path),
            fix="give the network itself: teacher.model.python and teacher.weights",
        )
    out = job.out / FILE
    adapted = adapt(path, data.model_spec(path.stem), settings, out)
    _try_out(out, data, path)
    write_json(job.out / FACTS, {"parameters": adapted.parameters})
    figures = _judge(job, data, adapted)
    return Made(note=note(figures), models=[figures], warnings=adapted.warnings)


def _judge(job: Job[Any], data: Dataset, adapted: Adapted) -> ModelFigures:
    figures = judge(
        job,
        onnx_module(job.out / FILE),
        data,
        precision="float32",
        weights=FILE,
        parameters=adapted.parameters,
        macs=adapted.macs,
    )
    in_runtime = {
        split: score.model_copy(update={"runtime": "onnxruntime"})
        for split in ("accuracy", "validation")
        if (score := getattr(figures, split)) is not None
    }
    return figures.model_copy(update={"format": "onnx", **in_runtime})


def _try_out(out: Path, data: Dataset, path: Path) -> None:
    """Runs a few samples; outputs that are probabilities become logits.

    Raises:
        StageError: it does not run, or gives another number of outputs than the data has.
    """
    import numpy as np

    from edgekd.export.given_onnx import from_probabilities
    from edgekd.runtimes import foreign

    raw = inputs.take(data.validation.x, slice(0, PROBES))
    x = data.spec.normalise(inputs.apply(np.asarray, raw))
    answer = foreign.answers(out, x, data.classes, path)
    of_classes = data.task in ("classification", "binary")
    if of_classes and (answer >= 0).all() and np.allclose(answer.sum(1), 1, atol=1e-3):
        from_probabilities(out)
