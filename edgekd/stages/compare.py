"""Compare: what each form of the student kept of the teacher, and what the teacher brought."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.base import Settings
from edgekd.results import ModelFigures
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import TEST_LOGITS, saved_network
from edgekd.store import MANIFEST, read_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.data.dataset import Dataset
    from edgekd.results import GainFigures, RetentionFigures
    from edgekd.spec import ModelSpec

CONTROL = "control-"
"""Before the names of the control arm's stages."""
FORMS = ("distill", "finetune", "prune", "quantize")
"""Stages that leave a student, in their order."""
MOST_TRAINED = 2048
"""Training samples that the student is asked about."""
LOGITS = "logits.npy"
"""The teacher's answers in the soft-label cache, (views, samples, classes)."""


class CompareStage(Settings):
    """What the stage may know: nothing but the artefacts."""


def run(job: Job[CompareStage]) -> Made:
    """Reads the answers to the test set that every stage left. Only the student as it was distilled
    runs again, on some of its training samples.
    """
    from edgekd.data.dataset import load
    from edgekd.quality.retention import gain, retention

    data = load(job.inputs["data"])
    spec, y = data.model_spec(""), data.test.y
    teacher = next((outputs for _, outputs in _answers(job.inputs["teacher"])), None)
    forms = {
        (stage, precision): outputs
        for stage, folder in job.inputs.items()
        if stage not in ("data", "softlabels")
        for precision, outputs in _answers(folder)
    }
    kept: list[RetentionFigures] = []
    gains: list[GainFigures] = []
    for (stage, precision), outputs in forms.items():
        about = {"stage": stage, "seed": job.seed, "precision": precision}
        if teacher is not None:  # soft labels may be of the training samples alone
            kept.append(retention(outputs, teacher, y, spec, **about))
        control = forms.get((f"{CONTROL}{stage}", precision))
        if control is not None:
            gains.append(gain(outputs, control, y, spec, **about))
    _steps(kept, forms, y, spec)
    _on_train(job, kept, data)
    return Made(note=_note(kept, gains), retention=kept, gain=gains)


def _steps(
    kept: list[RetentionFigures],
    forms: Mapping[tuple[str, str], NDArray[Any]],
    y: NDArray[Any],
    spec: ModelSpec,
) -> None:
    """Adds what each stage changed against the float form before it, in either arm."""
    from edgekd.quality.retention import change

    for prefix in ("", CONTROL):
        from_scratch = any(row.stage == f"{prefix}distill" for row in kept)
        before = None if from_scratch else forms.get(("teacher", "float32"))  # else a copy of it
        for stage in FORMS:
            now = [row for row in kept if row.stage == prefix + stage]
            for row in now:
                if before is not None:
                    row.step = change(forms[row.stage, row.precision], before, y, spec)
            before = forms.get((prefix + stage, "float32"), before)


def _on_train(job: Job[CompareStage], kept: list[RetentionFigures], data: Dataset) -> None:
    """Adds the scores on training samples, and the divergence from the teacher's soft labels."""
    import numpy as np

    from edgekd import inputs
    from edgekd.data.dataset import Split
    from edgekd.quality.retention import divergence, information
    from edgekd.tasks import metrics
    from edgekd.train.evaluate import predict_logits

    rows = len(data.train)
    index = np.unique(np.linspace(0, rows - 1, min(rows, MOST_TRAINED)).round().astype(int))
    some = Split(inputs.take(data.train.x, index), np.asarray(data.train.y)[index])
    outputs: dict[str, NDArray[Any]] = {}
    cache = job.inputs["softlabels"] / LOGITS if "softlabels" in job.inputs else None
    if cache is not None and cache.is_file():
        cached = np.load(cache, mmap_mode="r", allow_pickle=False)
        outputs["teacher"] = cached[0][index].astype(np.float32)
    for stage in ("distill", f"{CONTROL}distill"):
        if stage in job.inputs:
            model = saved_network(job.inputs[stage], job.base).model
            outputs[stage] = predict_logits(model, some, data.spec).numpy()
    spec = data.model_spec("")
    for row in kept:
        if row.stage not in outputs:
            continue
        found = outputs[row.stage]
        row.train = metrics.score(spec, found, some.y, runtime="torch", split="train")
        if "teacher" in outputs and data.task in ("classification", "binary"):
            row.train_divergence = divergence(outputs["teacher"], found)
            if row.stage == "teacher":
                row.train_information = information(found)


def _answers(folder: Path) -> list[tuple[str, NDArray[np.floating]]]:
    """Precision and answers to the test set of the networks that a stage left, float first."""
    import numpy as np

    models = [ModelFigures.model_validate(raw) for raw in read_json(folder / MANIFEST)["models"]]
    found = []
    for model in models:
        if model.accuracy is not None:  # an exported file has its answers measured elsewhere
            file = (folder / model.path).parent / TEST_LOGITS
            found.append((model.precision, np.load(file, mmap_mode="r", allow_pickle=False)))
    if not models and (folder / TEST_LOGITS).is_file():  # a teacher without a network
        file = folder / TEST_LOGITS
        found.append(("float32", np.load(file, mmap_mode="r", allow_pickle=False)))
    return found


def _note(kept: list[RetentionFigures], gains: list[GainFigures]) -> str:
    """The last form of the student in a few words."""
    from edgekd.tasks.names import is_share, shown

    ours = [row for row in kept if row.stage != "teacher" and not row.stage.startswith(CONTROL)]
    if not ours:
        return ""
    last = ours[-1]
    parts = [] if last.retention is None else [f"{last.retention:.1%} of the teacher's score"]
    if last.agreement is not None:
        parts.append(f"{last.agreement:.1%} of its answers")
    if gains:
        row = gains[-1]
        size = f"{100 * row.gain:+.1f} points" if is_share(row.metric) else f"{row.gain:+.3f}"
        parts.append(f"gain by the teacher {size}")
    return ", ".join(parts) or shown(last.score.value, last.score.metric)
