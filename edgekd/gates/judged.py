"""A run as the gates see it: the file that would be released, and what its samples were answered.

A run over several seeds releases the first one's file, as bundles have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgekd.config.pipeline import Pipeline
from edgekd.errors import StageError
from edgekd.results import ModelFigures, Summary
from edgekd.runtimes.exported import AGAIN, told_of
from edgekd.spec import ModelSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.data.dataset import Dataset

FORMS = ("distill", "finetune", "prune", "quantize")
"""Stages that leave a student, in their order."""


@dataclass(frozen=True)
class Judged:
    """A run folder and its deployed file."""

    folder: Path
    summary: Summary
    pipeline: Pipeline
    file: ModelFigures
    """The student's of the first seed, in the deployed format and precision."""

    @cached_property
    def data(self) -> Dataset | None:
        """The run's data; None where the folder does not hold it any more."""
        from edgekd.data.dataset import DATASET_FILE, load

        folder = self._stage_folder("data")
        return load(folder) if folder and (folder / DATASET_FILE).is_file() else None

    @cached_property
    def spec(self) -> ModelSpec | None:
        """What the deployed file takes and gives; None where it does not lie there any more.

        Raises:
            StageError: what is told beside the file is damaged.
        """
        told = told_of(self.folder / self.file.path)
        return None if told is None else told.model

    @property
    def data_key(self) -> str | None:
        """Of the data's artefact: equal keys are equal samples."""
        return next((s.key for s in self.summary.stages if s.name == "data"), None)

    def answers(self) -> NDArray[Any] | None:
        """The student's to the test samples, (N, outputs), as PyTorch gave them before the export;
        None where they were not kept.

        Raises:
            StageError: they are damaged.
        """
        names = [name for name in FORMS if name != "quantize" or self.file.precision == "int8"]
        folders = [folder for name in names if (folder := self._stage_folder(name)) is not None]
        return self._logits(folders[-1]) if folders else None

    def teacher_answers(self) -> NDArray[Any] | None:
        """The teacher's, likewise."""
        folder = self._stage_folder("teacher")
        return None if folder is None else self._logits(folder)

    def _stage_folder(self, name: str) -> Path | None:
        """The artefact of a stage of the first seed."""
        found = self.summary.stage(name)
        return None if found is None else self.folder / Path(found.folder).name

    def _logits(self, folder: Path) -> NDArray[Any] | None:
        import numpy as np

        from edgekd.stages.networks import TEST_LOGITS

        path = folder / TEST_LOGITS
        if self.data is None or not path.is_file():
            return None
        wanted = (len(self.data.test), self.data.classes)
        try:
            found = np.load(path, allow_pickle=False)
            if found.shape != wanted or not np.isfinite(found).all():
                raise ValueError(f"{found.dtype} {found.shape}, not finite numbers {wanted}")
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise StageError(
                "Answers to test samples cannot be read.",
                where=f"{path}: {error}",
                fix=f"remove {folder.name} and {AGAIN}",
            ) from error
        return found


def open_run(folder: Path, summary: Summary, form: str | None = None) -> Judged:
    """The run of a summary.

    Args:
        form: tflite or onnx; the pipeline's deployed format if left out.

    Raises:
        StageError: it was not exported, or its settings are of another version of edgekd.
    """
    try:
        pipeline = Pipeline.model_validate(summary.settings)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise StageError(
            "The settings of this run are of another version of edgekd.",
            where=f"{folder / 'summary.json'}, settings.{field}",
            fix=AGAIN,
        ) from error
    form = form or pipeline.deployed_format
    wanted = ("student", form, pipeline.deployed_precision, summary.seed)
    for model in summary.models:
        if (model.stage, model.format, model.precision, model.seed) == wanted:
            return Judged(folder, summary, pipeline, model)
    raise StageError(
        f"This run has no {form} file of the student in {pipeline.deployed_precision}.",
        where=str(folder),
        fix="run the pipeline to its end, without --until, with this format in export.formats",
    )
