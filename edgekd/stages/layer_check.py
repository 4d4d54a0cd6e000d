"""Whether layers that the pipeline file names exist, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.methods import needs_features, parts_of
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError, StageError

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset

GOAL = 1.0
"""Stands for the teacher's score, which is not known yet."""


def check_layers(pipeline: Pipeline, data_folder: Path, base: Path) -> None:
    """Makes the methods on feature maps for networks with fresh weights, and forgets them; looks
    for the layers that stay float, and those that pruning ignores, in a fresh student.

    Args:
        data_folder: of the finished data.
        base: where the path of a `python:` factory starts.

    Raises:
        ConfigError: a layer does not exist, or the maps of a pair cannot be compared.
        StageError: their cache (`softlabels.features`) has no room on the disk.
    """
    asked = {field: m for field, m in pipeline.methods.items() if needs_features(m)}
    kept = pipeline.quantize.named_float if pipeline.quantize is not None else ()
    ignored = pipeline.prune.ignored_layers if pipeline.prune is not None else ()
    if not asked and not kept and not ignored:
        return
    import torch

    from edgekd.data.dataset import load
    from edgekd.models.build import build

    data = load(data_folder)
    with torch.random.fork_rng(devices=[]):
        models = [pipeline.student_model, *([pipeline.teacher.model] if asked else [])]
        networks = [
            build(model.model_copy(update={"pretrained": False}), data.spec, data.classes, base)
            for model in models
        ]
    _check_ignored(networks[0], ignored)
    if kept:
        _check_kept(networks[0], kept, data)
    if asked:
        parts = _check_methods(asked, networks, data)
        if pipeline.softlabels.features:
            from edgekd.distill.featurecache import cache_bytes, check_space, on_maps

            views = pipeline.data.augment.view_count
            check_space(cache_bytes(on_maps(parts), views, len(data.taught)), data_folder)


def _check_ignored(student: nn.Module, patterns: Sequence[str]) -> None:
    from edgekd.models.layer_names import find_layers

    for pattern in patterns:
        try:
            find_layers(student, pattern, "student", "prune.ignored_layers")
        except StageError as error:
            raise ConfigError(error.what, where=error.where, fix=error.fix) from error


def _check_kept(student: nn.Module, kept: Sequence[str], data: Dataset) -> None:
    from edgekd import inputs
    from edgekd.compress.keep_float import check

    few = inputs.tensors(data.spec.normalise(inputs.take(data.train.x, slice(2))))
    try:
        check(student, few, kept)
    except StageError as error:
        raise ConfigError(error.what, where=f"quantize.{error.where}", fix=error.fix) from error


def _check_methods(
    asked: dict[str, Any], networks: Sequence[nn.Module], data: Dataset
) -> list[nn.Module]:
    """The methods on feature maps, made."""
    from edgekd.distill.losses import make_objective
    from edgekd.distill.part import Pair

    student, teacher = networks
    pair = Pair(student, teacher, data.spec)
    found: list[nn.Module] = []
    for field, method in asked.items():
        for part in parts_of(method):
            if not needs_features(part):
                continue
            try:
                found += make_objective(part, task=data.task, pair=pair, goal=GOAL).parts
            except StageError as error:
                place = str(error.where or "").replace("method", field, 1)
                raise ConfigError(error.what, where=place, fix=error.fix) from error
    return found
