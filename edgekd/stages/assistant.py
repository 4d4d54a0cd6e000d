"""Whether a teacher assistant is put between teacher and student, and which."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from edgekd.config.pipeline import Pipeline
from edgekd.config.stages import ModelSettings

LARGE_GAP = 10.0
"""A teacher with so many times the student's parameters is thought too large to teach it well."""
STEP = 1.15
"""From a width that is tried to the next one."""
TRIES = 40


def choose(pipeline: Pipeline, data_folder: Path, base: Path) -> tuple[ModelSettings | None, str]:
    """The assistant of `distill.assistant: auto`, or None; and why, in a sentence.

    Mirzadeh et al. 2020 (TAKD) show that a student learns the less from a teacher the larger that
    is, and that a network between them closes the gap; they give no limit, and find the best
    assistant near the mean of both accuracies, which is not known before training. So the rule is
    ours: from 10 times the parameters on, the student's network at the width that brings its
    parameters nearest to the geometric mean of both.

    Args:
        data_folder: of the finished data.
        base: where the path of a `python:` factory starts.
    """
    teacher = pipeline.teacher
    if pipeline.teachers or teacher.onnx is not None or teacher.labels is not None:
        return None, "no assistant: how large the teacher is, is not known"
    student = pipeline.student.model
    if student.name is None or ":" in student.name:
        return None, "no assistant: only networks of the zoo come in other widths"
    import torch

    from edgekd.data.dataset import load
    from edgekd.models.build import build
    from edgekd.models.count import parameters

    data = load(data_folder)

    def size(model: ModelSettings) -> int:
        fresh = model.model_copy(update={"pretrained": False})
        with torch.random.fork_rng(devices=[]):
            return parameters(build(fresh, data.spec, data.classes, base))

    large, small = size(pipeline.teacher.model), size(student)
    ratio = large / small
    if ratio < LARGE_GAP:
        return None, f"no assistant: the teacher has {ratio:.1f} times the student's parameters"
    middle = math.sqrt(large * small)
    sizes: list[tuple[float, ModelSettings]] = []
    for model in _wider(student):
        found = size(model)
        sizes.append((abs(math.log(found / middle)), model))
        if found > middle:
            break
    _, best = min(sizes, key=lambda pair: pair[0])
    return best, (
        f"the teacher has {ratio:.0f} times the student's parameters: {best.label} is put between "
        "them as an assistant"
    )


def _wider(student: ModelSettings) -> Iterator[ModelSettings]:
    """The student's network, ever wider."""
    for number in range(1, TRIES):
        width = float(f"{student.width * STEP**number:.3g}")
        yield student.model_copy(update={"width": width})
