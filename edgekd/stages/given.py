"""A teacher of somebody's own: its weights, and whether they are a network of this data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset
    from edgekd.stages.teacher import TeacherStage

SHIFTED = 0.1
"""Share of a deviation by which another normalisation is worth a warning."""


def with_weights(
    model: nn.Module,
    settings: ModelSettings,
    path: Path,
    data: Dataset,
    base: Path,
    *,
    trained: bool,
    of_others: bool = False,
) -> tuple[nn.Module, list[str]]:
    """The network with the weights of a file or a saved model folder, and what to warn of.

    Args:
        model: built by `settings`.
        base: the folder that the path of a `python:` factory starts from.
        trained: whether it is trained on; otherwise every tensor has to be there.
        of_others: the network was trained for other classes, and all but its classifier has to be
            there.

    Raises:
        StageError: the weights are not those of the network, or its classes not those of the data.
    """
    from edgekd.models.saved import DESCRIPTION, described, load, load_weights

    warnings: list[str] = []
    if not trained and not of_others and (path / DESCRIPTION).is_file():
        saved, spec = described(path)
        warnings = _compare(spec, data, path)
        if saved == settings:  # a `python:` factory that only the folder names is never called
            return load(path, base).model, warnings
    fresh = load_weights(model, path)
    named = ", ".join(fresh[:8]) + (f" and {len(fresh) - 8} more" if len(fresh) > 8 else "")
    if fresh and not trained and not of_others:
        raise StageError(
            "These weights are not the whole network, and it is not trained on.",
            where=f"{path} lacks {named}, or has another shape of it",
            fix="give all weights of this very network and these classes, or train it "
            "(teacher.train)",
        )
    if fresh and of_others:
        from edgekd.train.loop import classifier_parameters

        body = [name for name in fresh if name not in classifier_parameters(model)]
        if body:
            raise StageError(
                "These weights lack layers before the classifier, whose feature maps would teach "
                "nothing.",
                where=f"{path} lacks {', '.join(body[:8])}, or has another shape of it",
                fix="give the weights of this very network (teacher.model)",
            )
        return model, warnings
    return model, warnings + ([f"Tensors of the teacher start fresh: {named}."] if fresh else [])


def check_weights(settings: TeacherStage, data_folder: Path, base: Path) -> None:
    """Whether the weights that a teacher's training starts from are of its network.

    Raises:
        StageError: they cannot be read, or no tensor of them fits.
    """
    import torch

    from edgekd.data.dataset import load
    from edgekd.models.build import build

    assert settings.model is not None and settings.weights is not None
    data, path = load(data_folder), base / settings.weights
    fresh = settings.model.model_copy(update={"pretrained": False})
    with torch.random.fork_rng(devices=[]):
        model = build(fresh, data.spec, data.classes, base)
        with_weights(model, settings.model, path, data, base, trained=True)


def _compare(spec: ModelSpec, data: Dataset, path: Path) -> list[str]:
    """What differs between the data that the network was saved with and this."""
    from edgekd.tasks.classes import labels_differ

    if spec.task != data.task:
        raise StageError(
            f"This network is for {spec.task}, and the data for {data.task}.", where=str(path)
        )
    if set(spec.labels) != set(data.labels):
        raise labels_differ(spec.labels, data.labels, str(path))
    if spec.labels != data.labels:
        raise StageError(
            "The teacher's classes stand in another order than those of the data.",
            where=f"{path}: {', '.join(spec.labels[:6])}; the data: {', '.join(data.labels[:6])}",
            fix="give the labels of the data in the teacher's order (data.labels)",
        )
    theirs, ours = spec.input, data.spec
    if not isinstance(theirs, InputSpec) or not isinstance(ours, InputSpec):
        return []
    if theirs.shape != ours.shape or not theirs.mean:
        return []
    moved = max(abs(a - b) / s for a, b, s in zip(theirs.mean, ours.mean, ours.std, strict=True))
    scaled = max(abs(a / b - 1) for a, b in zip(theirs.std, ours.std, strict=True))
    if max(moved, scaled) <= SHIFTED:
        return []
    return [
        "The teacher was trained on data of another mean or deviation than this training set has; "
        "it may answer worse here than you know it."
    ]
