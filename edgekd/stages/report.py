"""Report: the summary and the networks' answers become one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.pipeline import Pipeline
from edgekd.keys import code_key
from edgekd.report.figures import BESIDE
from edgekd.results import StageFigures, Summary
from edgekd.stages.networks import TEST_LOGITS
from edgekd.store import digest, write_atomic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.data.dataset import Dataset
    from edgekd.report.details import Details

REPORT = "report.html"
REPORT_KEY = ".report-key"


def write_report(summary: Summary, run_folder: Path, *, again: bool = False) -> Path:
    """Writes `report.html`, unless the one that is there says the same already.

    Args:
        summary: the figures.
        run_folder: where the artefacts lie.
        again: write it in any case.
    """
    page, key_file = run_folder / REPORT, run_folder / REPORT_KEY
    key = _key(summary)
    if not again and page.is_file() and key_file.is_file() and key_file.read_text() == key:
        return page
    from edgekd.report.page import write_report as write_page

    write_page(summary, details(summary, run_folder), page)
    write_atomic(key_file, key)
    return page


def _key(summary: Summary) -> str:
    """What the page shows, but for when it was made and what was found finished."""
    shown = summary.model_dump(
        mode="json", exclude={"date": True, "stages": {"__all__": {"cached"}}}
    )
    return digest({"summary": shown, "code": code_key(__name__)})


def details(summary: Summary, run_folder: Path) -> Details:
    """What the page shows beside the summary, read from the artefacts."""
    from edgekd.data.dataset import load
    from edgekd.report.details import Details
    from edgekd.train.history import FILE, History

    folders = {stage.name: run_folder / stage.folder for stage in summary.stages}
    histories = {
        name: list(History.load(folder).epochs)
        for name, folder in folders.items()
        if (folder / FILE).is_file()
    }
    data = load(folders["data"])
    networks = _networks(summary)
    answered = {role: run_folder / stage.folder for role, stage in networks.items()}
    outputs = {
        role: _outputs(folder)
        for role, folder in answered.items()
        if (folder / TEST_LOGITS).is_file()  # soft labels may be of the training samples alone
    }
    settings = summary.settings
    return Details(
        histories=histories,
        **_answers(data, outputs),
        labels=data.labels,
        task=data.task,
        samples={name: len(split.y) for name, split in data.splits.items()},
        networks=_described(Pipeline.model_validate(settings)),
    )


def _networks(summary: Summary) -> dict[str, StageFigures]:
    """The stages that made the teacher and the last student of the first seed."""
    found: dict[str, StageFigures] = {}
    arm = {model.stage for model in summary.models if model.format == "torch"}
    networks = {stage for stage in arm if not stage.startswith(BESIDE)}
    made = networks | {"teacher"}  # which may be an .onnx file
    for stage in summary.stages:
        name, _, seed = stage.name.partition("@")
        if name in made and seed in {"", str(summary.seed)}:
            found["teacher" if name == "teacher" else "student"] = stage
    return found


def _outputs(folder: Path) -> NDArray[np.floating]:
    import numpy as np

    return np.load(folder / TEST_LOGITS, allow_pickle=False)


def _answers(data: Dataset, outputs: dict[str, NDArray[np.floating]]) -> dict[str, Any]:
    """The fields of `Details` that show what teacher and student answered."""
    import numpy as np

    if data.task in ("multilabel", "regression"):
        if data.task == "regression":
            spec = data.model_spec("")
            outputs = {role: spec.raw_targets(found) for role, found in outputs.items()}
        return {"answers": outputs, "targets": np.asarray(data.test.y)}
    import torch

    from edgekd.train.evaluate import confusion_matrix

    return {
        "confusion": {
            role: confusion_matrix(torch.from_numpy(found), data.test.y, data.classes)
            for role, found in outputs.items()
        }
    }


def _described(pipeline: Pipeline) -> dict[str, str]:
    copied = pipeline.student.copy_of is not None
    student = "a copy of it" if copied else pipeline.student_model.label
    teacher = " + ".join(each.label for each in pipeline.all_teachers)
    return {"teacher": teacher, "student": student}
