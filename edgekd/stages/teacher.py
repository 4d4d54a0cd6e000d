"""Teacher: a large network, trained on the data, or given and fine-tuned, or given as it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.stages import ModelSettings, OnnxInput, Require
from edgekd.config.training import TrainSettings
from edgekd.errors import StageError
from edgekd.results import Accuracy
from edgekd.stages.base import Job, Made
from edgekd.stages.given import with_weights
from edgekd.stages.networks import fit_network, fresh_torch_seed, note, save_and_judge

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset

OF_OTHERS = (
    "The teacher was trained for other classes: only its feature maps teach, and it is neither "
    "measured nor compared with."
)


class TeacherStage(Settings):
    """What the stage may know. The gate is not part of it: a new gate retrains nothing."""

    model: ModelSettings | None
    """The network; None for `onnx` and `labels`."""
    onnx: str | None = None
    """An .onnx file that is the teacher as it is."""
    input: OnnxInput | None = None
    """How that file wants its input."""
    labels: str | None = None
    """A file of soft labels in place of a network."""
    train: TrainSettings | None
    """How it is trained, or None for `weights` as they are."""
    weights: str | None
    """Where it starts from."""
    features_only: bool = False
    """Whether it was trained for other classes, so that it has no answers."""
    checkpoints: int = 1
    """So many networks of its training answer together."""
    augment: Augment
    """Variations of training images."""


def run(job: Job[TeacherStage]) -> Made:
    """Writes the saved teacher, the .onnx file adapted to the data, or the soft labels checked.

    Raises:
        StageError: the loss is not finite, or the weights or the file do not fit.
    """
    from edgekd.data.dataset import load
    from edgekd.models.build import build
    from edgekd.train.labels import labels_only

    settings = job.settings
    if settings.onnx is not None:
        from edgekd.stages.onnx_teacher import take

        return take(job, job.base / settings.onnx, settings.input or OnnxInput())
    if settings.labels is not None:
        from edgekd.stages import labels_teacher

        return labels_teacher.take(job, job.base / settings.labels, settings.augment)
    assert settings.model is not None
    data = load(job.inputs["data"])
    fresh_torch_seed(job.seed)
    model = build(settings.model, data.spec, data.classes, job.base)
    warnings: list[str] = []
    if settings.weights is not None:
        model, warnings = with_weights(
            model,
            settings.model,
            job.base / settings.weights,
            data,
            job.base,
            trained=settings.train is not None,
            of_others=settings.features_only,
        )
    if settings.features_only:
        return _of_other_classes(job, model, settings.model, data)
    if settings.train is not None:
        objective = labels_only(settings.train, data.task)
        if settings.checkpoints > 1:
            from edgekd.stages import checkpoints

            return checkpoints.train(job, model, data, objective, warnings)
        fit_network(job, model, data, data.train, objective, settings.train, settings.augment)
    figures = save_and_judge(job, model, settings.model, data)
    return Made(note=note(figures), models=[figures], warnings=warnings)


def _of_other_classes(
    job: Job[TeacherStage], model: nn.Module, settings: ModelSettings, data: Dataset
) -> Made:
    """Saves a network whose classifier is nobody's: nothing judges it."""
    from edgekd.models.count import parameters
    from edgekd.models.saved import save

    save(model.cpu().eval(), settings, data.model_spec(settings.label), job.out)
    return Made(note=f"feature maps only, {parameters(model):,} parameters", warnings=[OF_OTHERS])


def check_gate(require: Require, validation: Accuracy | None, node: str) -> None:
    """The teacher-quality gate, on validation.

    Raises:
        StageError: the teacher is not good enough to learn from, or nothing says how good it is.
    """
    from edgekd.tasks.names import is_share, title

    least = max(require.accuracy, require.score or 0.0)
    if validation is None:
        if not least:
            return
        raise StageError(
            "The pipeline requires a score of the teacher, and its file of soft labels has no "
            "answers on validation.",
            where=f"{node}: teacher.require",
            fix="add validation_logits to the file, or leave teacher.require out",
        )
    if validation.value >= least or (not require.accuracy and require.score is None):
        return
    metric = validation.metric
    article = "an" if metric == "r2" else "a"
    name = "" if metric == "accuracy" else f"{article} {title(metric)} of "
    form = ".2%" if is_share(metric) else ".3f"
    where = f"{node}: {validation.n} validation samples"
    if metric == "accuracy":
        missing = math.ceil((least - validation.value) * validation.n)
        where = f"{node}: {missing} more of {validation.n} samples would have to be right"
    field = "accuracy" if require.score is None else "score"
    raise StageError(
        f"The teacher reaches {name}{validation.value:{form}} on validation, and the pipeline "
        f"requires {least:{form}}.",
        where=where,
        fix="train it longer (teacher.train.epochs), take a larger one (teacher.model), check the "
        f"labels' order, or lower teacher.require.{field}. The teacher is kept.",
    )
