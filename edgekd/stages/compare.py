"""Compare: what each form of the student kept of the teacher, and what the teacher brought."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.base import Settings
from edgekd.results import ModelFigures
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import TEST_LOGITS
from edgekd.store import MANIFEST, read_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.results import GainFigures

CONTROL = "control-"
"""Before the names of the control arm's stages."""


class CompareStage(Settings):
    """What the stage may know: nothing but the artefacts."""


def run(job: Job[CompareStage]) -> Made:
    """Reads the answers to the test set that every stage left; no network runs."""
    from edgekd.data.dataset import load
    from edgekd.quality.retention import gain, retention

    data = load(job.inputs["data"])
    spec, y = data.model_spec(""), data.test.y
    teacher = next((outputs for _, outputs in _answers(job.inputs["teacher"])), None)
    forms = {
        (stage, precision): outputs
        for stage, folder in job.inputs.items()
        if stage != "data"
        for precision, outputs in _answers(folder)
    }
    kept: list[Any] = []
    gains: list[GainFigures] = []
    for (stage, precision), outputs in forms.items():
        about = {"stage": stage, "seed": job.seed, "precision": precision}
        if teacher is not None:  # soft labels may be of the training samples alone
            kept.append(retention(outputs, teacher, y, spec, **about))
        control = forms.get((f"{CONTROL}{stage}", precision))
        if control is not None:
            gains.append(gain(outputs, control, y, spec, **about))
    return Made(note=_note(kept, gains), retention=kept, gain=gains)


def _answers(folder: Path) -> list[tuple[str, NDArray[np.floating]]]:
    """Precision and answers to the test set of the networks that a stage left, float first."""
    import numpy as np

    models = [ModelFigures.model_validate(raw) for raw in read_json(folder / MANIFEST)["models"]]
    found = []
    for model in models:
        if model.accuracy is not None:  # an exported file has its answers measured elsewhere
            file = (folder / model.path).parent / TEST_LOGITS
            found.append((model.precision, np.load(file, allow_pickle=False)))
    if not models and (folder / TEST_LOGITS).is_file():  # a teacher without a network
        found.append(("float32", np.load(folder / TEST_LOGITS, allow_pickle=False)))
    return found


def _note(kept: list[Any], gains: list[GainFigures]) -> str:
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
