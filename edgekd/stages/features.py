"""Features: what methods on feature maps need of the teacher's maps, once, so that it need not run
beside the student."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.feature_methods import FeatureMethod
from edgekd.config.networks import ModelSettings
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import saved_network

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset
    from edgekd.distill.features import FeaturePart


class FeaturesStage(Settings):
    """What the stage may know."""

    model: ModelSettings
    """The student's network: the sizes of its maps say what is needed of the teacher's."""
    methods: tuple[FeatureMethod, ...]
    """Which maps in which form; nothing of the methods' weights."""
    augment: Augment
    """Variations of training images."""


def run(job: Job[FeaturesStage]) -> Made:
    """Writes the cache, after saying how large it is, and computes a few of its entries again.

    Raises:
        StageError: the disk has no room for it, or a map is not finite.
        DataError: the variations do not suit the data.
    """
    from edgekd.data.check_augment import check_augment
    from edgekd.data.dataset import load
    from edgekd.distill.featurecache import (
        cache_bytes,
        check_features,
        load_features,
        make_features,
    )

    data = load(job.inputs["data"])
    augment = job.settings.augment
    check_augment(augment, data.spec)
    teacher = saved_network(job.inputs["teacher"], job.base).model
    parts = _parts(job, teacher, data)
    train, fingerprint = data.taught, data.fingerprint
    size = _size(cache_bytes(parts, augment.view_count, len(train)))
    job.progress.message(f"the teacher's feature maps take {size} in {job.out.parent}")
    make_features(
        teacher, parts, train, data.spec, augment, job.seed, fingerprint, job.out, job.progress
    )
    kept = load_features(job.out, parts, len(train), fingerprint, augment, job.seed)
    check_features(kept, teacher, parts, train, data.spec, augment, job.seed)
    layers = sum(len(part.pairs) for part in parts)
    return Made(note=f"{size}: {layers} {'map' if layers == 1 else 'maps'} of {len(train)} samples")


def _parts(job: Job[FeaturesStage], teacher: nn.Module, data: Dataset) -> list[FeaturePart]:
    """The methods, made for a student with fresh weights."""
    import torch

    from edgekd.distill.part import Pair
    from edgekd.models.build import build

    fresh = job.settings.model.model_copy(update={"pretrained": False})
    with torch.random.fork_rng(devices=[]):
        student = build(fresh, data.spec, data.classes, job.base)
        pair = Pair(student, teacher, data.spec)
        # By name: the plan puts the code of each method that is used into the key.
        return [import_module(m.module).make(m, pair, data.task) for m in job.settings.methods]


def _size(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
