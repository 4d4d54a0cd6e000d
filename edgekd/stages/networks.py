"""What the stages that train a network have in common: training it, judging it, saving it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.data import Augment
from edgekd.config.stages import ModelSettings
from edgekd.config.training import TrainSettings
from edgekd.results import Accuracy, ModelFigures, TeacherFigures
from edgekd.stages.base import CHECKPOINT, Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.data.dataset import Dataset, Split
    from edgekd.train.answers import Answers
    from edgekd.train.objective import Objective

TEST_LOGITS, VALIDATION_LOGITS = "test_logits.npy", "validation_logits.npy"
WEIGHTS = "model.safetensors"


def fit_network(
    job: Job[Any],
    model: nn.Module,
    data: Dataset,
    train: Split,
    objective: Objective,
    settings: TrainSettings,
    augment: Augment,
    *,
    teacher_logits: Answers | None = None,
    on_epoch: Callable[[int, nn.Module], None] | None = None,
    seed: int | None = None,
) -> None:
    """Trains `model` on a split of the data, and keeps the history in the job's folder.

    Args:
        seed: of the training; the job's if left out, which is that of the views in any case.

    Raises:
        StageError: the loss is not finite.
        DataError: `augment` does not suit the data.
    """
    from edgekd.data.check_augment import check_augment
    from edgekd.train.loop import fit

    check_augment(augment, data.spec)
    history = fit(
        model,
        as_trained(train, data),
        as_trained(data.validation, data),
        data.spec,
        settings,
        objective,
        seed=job.seed if seed is None else seed,
        augment_seed=job.seed,
        task=data.task,
        augment=augment,
        teacher_logits=teacher_logits,
        checkpoint=job.out / CHECKPOINT,
        on_epoch=on_epoch,
        progress=job.progress,
    )
    history.save(job.out)


def validation_of(manifest: Mapping[str, Any]) -> Accuracy | None:
    """The validation score of a finished teacher; None of soft labels that have no such answers."""
    models = [ModelFigures.model_validate(raw) for raw in manifest["models"]]
    if models:
        return models[0].validation
    teachers = [TeacherFigures.model_validate(raw) for raw in manifest["teachers"]]
    return teachers[0].validation if teachers else None


def as_trained(split: Split, data: Dataset) -> Split:
    """A split with the targets that the network is trained on: a regression's are standardised."""
    if data.task != "regression":
        return split
    import numpy as np
    import torch

    from edgekd.tasks.losses import standardised

    y = standardised(torch.from_numpy(np.array(split.y)), data.target_mean, data.target_std)
    return replace(split, y=y.numpy())


def judge(
    job: Job[Any],
    model: nn.Module,
    data: Dataset,
    *,
    precision: str,
    weights: str,
    parameters: int,
    macs: int,
) -> ModelFigures:
    """Scores of a torch network on validation and test; keeps its logits of both."""
    import numpy as np

    from edgekd.tasks import metrics
    from edgekd.train.evaluate import predict_logits

    def answers(split: Split, file: str) -> NDArray[np.float32]:
        logits = predict_logits(model, split, data.spec).numpy()
        np.save(job.out / file, logits, allow_pickle=False)
        return logits

    spec = data.model_spec("")
    validation = metrics.score(  # each split's logits are let go before the other's are made
        spec,
        answers(data.validation, VALIDATION_LOGITS),
        data.validation.y,
        runtime="torch",
        split="validation",
    )
    found, every = metrics.judge(
        spec, answers(data.test, TEST_LOGITS), data.test.y, runtime="torch", split="test"
    )
    return ModelFigures(
        stage=job.node.partition("@")[0],
        seed=job.seed,
        format="torch",
        precision=precision,
        path=weights,
        bytes=(job.out / weights).stat().st_size,
        parameters=parameters,
        macs=macs,
        accuracy=found,
        validation=validation,
        metrics=every,
    )


def save_and_judge(
    job: Job[Any], model: nn.Module, settings: ModelSettings, data: Dataset
) -> ModelFigures:
    """Saves a float network in the job's folder and judges it."""
    from edgekd.models.count import macs, parameters
    from edgekd.models.saved import save

    spec = data.model_spec(settings.label)
    model = model.cpu().eval()
    save(model, settings, spec, job.out)
    figures = judge(
        job,
        model,
        data,
        precision="float32",
        weights=WEIGHTS,
        parameters=parameters(model),
        macs=macs(model, data.spec),
    )
    shutil.rmtree(job.out / CHECKPOINT, ignore_errors=True)
    return figures


def note(figures: ModelFigures) -> str:
    """A network's result in a few words."""
    from edgekd.tasks.names import shown, title

    validation = figures.validation
    if validation is None:
        return f"{figures.parameters:,} parameters"
    score = shown(validation.value, validation.metric)
    name = "" if validation.metric == "accuracy" else f"{title(validation.metric)} "
    return f"{name}{score} validation, {figures.parameters:,} parameters"


def fresh_torch_seed(seed: int) -> None:
    """Seeds what draws a network's first weights."""
    import torch

    torch.manual_seed(seed)


def saved_network(folder: Path, base: Path) -> Any:
    """The network that an earlier stage saved, with its settings and spec."""
    from edgekd.models.saved import load

    return load(folder, base)
