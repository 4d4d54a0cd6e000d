"""Whether the layers that methods on feature maps name exist, before anything is trained."""

from __future__ import annotations

from pathlib import Path

from edgekd.config.methods import needs_features, parts_of
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError, StageError

GOAL = 1.0
"""Stands for the teacher's score, which is not known yet."""


def check_layers(pipeline: Pipeline, data_folder: Path, base: Path) -> None:
    """Makes the methods for networks with fresh weights, and forgets them.

    Args:
        data_folder: of the finished data.
        base: where the path of a `python:` factory starts.

    Raises:
        ConfigError: a layer does not exist, or the maps of a pair cannot be compared.
    """
    asked = {field: m for field, m in pipeline.methods.items() if needs_features(m)}
    if not asked:
        return
    import torch

    from edgekd.data.dataset import load
    from edgekd.distill.losses import make_objective
    from edgekd.distill.part import Pair
    from edgekd.models.build import build

    data = load(data_folder)
    with torch.random.fork_rng(devices=[]):
        student, teacher = (
            build(model.model_copy(update={"pretrained": False}), data.spec, data.classes, base)
            for model in (pipeline.student_model, pipeline.teacher.model)
        )
    pair = Pair(student, teacher, data.spec)
    for field, method in asked.items():
        for part in parts_of(method):
            if not needs_features(part):
                continue
            try:
                make_objective(part, task=data.task, pair=pair, goal=GOAL)
            except StageError as error:
                place = str(error.where or "").replace("method", field, 1)
                raise ConfigError(error.what, where=place, fix=error.fix) from error
