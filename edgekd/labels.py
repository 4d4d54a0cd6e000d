"""`edgekd labels`: the soft labels of a pipeline's teacher, for here and for elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.errors import ConfigError
from edgekd.pipeline import RunResult, resolve, run
from edgekd.plan import make_plan
from edgekd.progress import SILENT, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAST = "check"
"""The stage after which the soft labels are made and looked at."""


def make_labels(
    pipeline: str | Path | dict[str, Any],
    *,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    runs: str | Path = "runs",
    progress: Progress = SILENT,
) -> RunResult:
    """Runs a pipeline up to its soft labels; what is finished is taken, as always.

    Args:
        out: an .npz file to write them to, for `teacher: {labels: file}` on another machine.

    Raises:
        ConfigError: nothing in the pipeline learns from a teacher, or the file would hold the
            labels of several seeds, of several teachers, or of the top classes only.
        EdgekdError: a stage failed.
    """
    settings, base = resolve(pipeline, overrides)
    stages = {node.stage for node in make_plan(settings, base)}
    if LAST not in stages:
        raise ConfigError(
            "Nothing in this pipeline learns from a teacher: there are no soft labels.",
            where="distill.method",
            fix="take a method with a teacher, such as kd",
        )
    if out is not None and settings.seeds is not None and settings.data.augment.active:
        raise ConfigError(
            "A file holds the soft labels of one seed: another one shows other variations.",
            where=f"seeds: {settings.seeds}",
            fix="leave `seeds` out, or leave --out out",
        )
    if out is not None and settings.softlabels.top is not None:
        raise ConfigError(
            "A file holds whole answers, and the pipeline keeps the top classes only.",
            where=f"softlabels.top: {settings.softlabels.top}",
            fix="write it with --set softlabels.top=null; whoever reads it may set it again",
        )
    result = run(pipeline, overrides=overrides, until=LAST, runs=runs, progress=progress)
    if out is not None:
        _write(result, out)
    return result


def _write(result: RunResult, out: Path) -> None:
    import numpy as np

    from edgekd.config.pipeline import Pipeline
    from edgekd.data.dataset import load
    from edgekd.distill.labels_file import write
    from edgekd.distill.softlabels import opened
    from edgekd.stages.networks import TEST_LOGITS, VALIDATION_LOGITS

    settings = Pipeline.model_validate(result.summary.settings)
    folders = {
        stage.name.partition("@")[0]: result.folder / stage.folder
        for stage in reversed(result.summary.stages)  # the first seed's stand
    }
    data, teacher = load(folders["data"]), folders["teacher"]
    answers = opened(folders["softlabels"])
    shared = len(answers) != settings.data.augment.view_count
    augment = settings.data.augment
    if shared:  # the answers are to the samples as they are
        augment = type(augment)()

    def kept(name: str) -> NDArray[np.floating] | None:
        file = teacher / name
        return np.load(file, allow_pickle=False) if file.is_file() else None

    write(
        out,
        np.asarray(answers.values),
        data,
        augment,
        settings.seed,
        validation=kept(VALIDATION_LOGITS),
        test=kept(TEST_LOGITS),
    )
