"""Data: a source becomes three splits with a normalisation and a fingerprint."""

from __future__ import annotations

from typing import Any

from pydantic import field_serializer

from edgekd.config.base import Settings
from edgekd.config.data import DataSettings
from edgekd.stages.base import Job, Made


class DataStage(Settings):
    """What the stage may know."""

    data: DataSettings
    """The source."""

    @field_serializer("data")
    def _wherever_it_lies(self, data: DataSettings) -> dict[str, Any]:
        """Data in another folder is the same data: its fingerprint is in the key. Nor do variations
        change it: the stages that train have them in their own keys. Nor does how it is fetched.
        """
        return data.model_dump(mode="json", exclude={"root", "augment", "streaming"})


def run(job: Job[DataStage]) -> Made:
    """Writes the data set.

    Raises:
        DataError: the source cannot be used; says which array or sample and what to do.
    """
    from edgekd.data.dataset import save
    from edgekd.data.sources import load_source

    data = load_source(job.settings.data, job.base)
    save(data, job.out)
    sizes = " + ".join(str(len(split.y)) for split in (data.train, data.validation, data.test))
    word = {"multilabel": "label", "regression": "target"}.get(data.task, "class")
    ending = "" if data.classes == 1 else "es" if word == "class" else "s"
    note = f"{data.classes} {word}{ending}, {sizes} samples (train + validation + test)"
    if data.unlabelled is not None:
        note += f", {len(data.unlabelled)} without labels"
    if data.task != "classification":
        note = f"{data.task}, {note}"
    return Made(note=note, warnings=list(data.warnings))
