"""Before any student: the data, the given model as teacher, its answers."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.deploy import timing
from edgekd.deploy.draft import Draft
from edgekd.deploy.known import Known
from edgekd.deploy.request import augment_fields
from edgekd.deploy.told import check_teacher
from edgekd.deploy.trial import Trials
from edgekd.deploy.watch import Clock, Watched
from edgekd.spec import InputSpec

if TYPE_CHECKING:
    from edgekd.data.dataset import Dataset


def prepare(
    draft: Draft, clock: Clock, progress: Watched, caps: timing.Caps, *, own_augment: bool
) -> Known:
    """Runs data, teacher and soft labels, each a stage of the pipeline to come.

    Args:
        own_augment: the user's file says how samples are varied.

    Raises:
        StageError: the model knows nothing of the data.
    """
    from edgekd.data.dataset import load

    data = load(draft.artefact(draft.run("data", progress), "data"))
    spec = data.spec
    if not own_augment and isinstance(spec, InputSpec):
        draft.augment(augment_fields(spec.kind, spec.shape, len(data.train)))
    result = draft.run("teacher", progress)
    for stage in result.summary.stages[1:]:  # those of the data were told
        for warning in stage.warnings:
            progress.message(f"note: {warning}")
    progress.message(check_teacher(result.summary, data))
    progress.stage_started("softlabels")
    forward = _bound_soft_labels(draft, clock, data, draft.artefact(result, "teacher"))
    result = draft.run("softlabels", progress)
    folders = {stage: draft.artefact(result, stage) for stage in ("teacher", "softlabels")}
    data = load(draft.artefact(result, "data"))
    trials = Trials(data, draft.pipeline(), draft.folder, folders)
    return Known(draft, clock, progress, caps, data, trials, forward)


def _bound_soft_labels(draft: Draft, clock: Clock, data: Dataset, teacher: Path) -> float:
    """Takes fewer views where the teacher would answer them for too long.

    Returns:
        Measured seconds that it takes for a sample.
    """
    from edgekd import inputs
    from edgekd.stages.teachers import finished_teacher
    from edgekd.train.evaluate import predict_logits

    network = finished_teacher(teacher, draft.folder).model
    split = data.validation
    count = min(256, len(split))
    x = inputs.take(split.x, slice(0, count))
    some = dataclasses.replace(split, x=x, y=split.y[:count])
    started = time.perf_counter()
    predict_logits(network, some, data.spec)
    forward = (time.perf_counter() - started) / count
    each = forward * len(data.train)
    affordable = max(1, int(timing.SOFT_LABELS * clock.bound / each))
    if affordable < draft.pipeline().data.augment.view_count:
        draft.views(affordable)
    return forward
