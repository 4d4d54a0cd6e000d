"""A teacher that is several checkpoints of one training: their logits are averaged.

checkpoint-1/ ... checkpoint-N/    saved networks; the last is the one that was best on validation
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from edgekd.results import TeacherFigures
from edgekd.stages.base import CHECKPOINT, Job, Made
from edgekd.stages.networks import TEST_LOGITS, VALIDATION_LOGITS, fit_network
from edgekd.stages.teachers import MEMBER, Teacher, averaged

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset
    from edgekd.stages.teacher import TeacherStage
    from edgekd.train.objective import Objective

NO_NETWORK = (
    "A teacher of several checkpoints has no one network that could be exported, measured or "
    "compared with; it is compared by its answers."
)


def places(epochs: int, count: int) -> list[int]:
    """After how many epochs the checkpoints before the last one are taken: evenly over the second
    half of the training, when the network is of use and each is another.

    Args:
        count: with the last one, which is what the training ends with; at most half of the epochs.
    """
    return [epochs * (count + number) // (2 * count) for number in range(1, count)]


def train(
    job: Job[TeacherStage],
    model: nn.Module,
    data: Dataset,
    objective: Objective,
    warnings: list[str],
) -> Made:
    """Trains the network and writes its checkpoints, and their common answers to validation and
    test samples. A training that ended early has fewer.

    Args:
        warnings: what is to be told of its first weights.

    Raises:
        StageError: the loss is not finite.
    """
    from edgekd.models.count import parameters
    from edgekd.models.saved import save
    from edgekd.train import processes

    settings = job.settings
    assert settings.model is not None and settings.train is not None
    network, spec = settings.model, data.model_spec(settings.model.label)
    count = settings.checkpoints
    taken = places(settings.train.epochs, count)

    def keep(epoch: int, now: nn.Module) -> None:
        if epoch in taken and processes.is_first():
            save(now, network, spec, job.out / f"{MEMBER}-{1 + taken.index(epoch)}")

    fit_network(
        job, model, data, data.train, objective, settings.train, settings.augment, on_epoch=keep
    )
    save(model.cpu().eval(), network, spec, job.out / f"{MEMBER}-{count}")
    shutil.rmtree(job.out / CHECKPOINT, ignore_errors=True)
    teacher = averaged(job.out, job.base)
    figures, note = _judged(job, teacher, data)
    return Made(
        note=f"{note}, {parameters(model):,} parameters each",
        teachers=[figures],
        warnings=[NO_NETWORK, *warnings],
    )


def _judged(job: Job[Any], teacher: Teacher, data: Dataset) -> tuple[TeacherFigures, str]:
    """Keeps the answers of all together; tells their score and each one's on validation."""
    import numpy as np

    from edgekd.tasks import metrics
    from edgekd.tasks.names import shown
    from edgekd.train.evaluate import predict_logits

    spec = data.model_spec("")

    def score(answers: Any) -> Any:
        y = data.validation.y
        return metrics.score(spec, answers, y, runtime="torch", split="validation")

    for name, split in ((VALIDATION_LOGITS, data.validation), (TEST_LOGITS, data.test)):
        answers = predict_logits(teacher.model, split, data.spec).numpy()
        np.save(job.out / name, answers, allow_pickle=False)
    found = score(np.load(job.out / VALIDATION_LOGITS, allow_pickle=False))
    each = [
        score(predict_logits(one, data.validation, data.spec).numpy()) for one in teacher.members
    ]
    told = ", ".join(shown(one.value, one.metric) for one in each)
    figures = TeacherFigures(
        stage=job.node.partition("@")[0], seed=job.seed, validation=found, n=len(data.train)
    )
    return figures, (
        f"{shown(found.value, found.metric)} validation of {len(each)} checkpoints ({told})"
    )
