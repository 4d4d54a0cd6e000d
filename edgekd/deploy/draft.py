"""The pipeline file as it comes about: what is asked for, then the student and its training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from edgekd.config.budget import BudgetSettings
from edgekd.config.load import apply_override, validate
from edgekd.config.pipeline import Pipeline
from edgekd.config.quality import QualitySettings
from edgekd.config.training import FinetuneTrain, TrainSettings
from edgekd.deploy.budget import budget_fields
from edgekd.deploy.timing import MOST_EPOCHS, MOST_FINETUNE, QUALITY
from edgekd.errors import ConfigError
from edgekd.pipeline import RunResult, run
from edgekd.progress import Progress
from edgekd.propose.candidates import COPY, Candidate
from edgekd.store import write_atomic

FILE = "pipeline.yaml"
HEAD = """\
# Written by `edgekd compress`. Run it again with
#   edgekd run {file}
# Stages that are finished are not made again. Paths are absolute.
"""
STUDENT_TRAIN = {"epochs": MOST_EPOCHS, "learning_rate": 4.0e-3}
"""Training from scratch; the epochs are what the time allows, up to these."""
COPY_TRAIN = {"epochs": MOST_FINETUNE, "learning_rate": 2.0e-3}
"""Training of a pruned copy, which starts from the given weights."""
QAT_RATE = 5.0e-4
SMALL_DATA, SMALL_BATCH, BATCH = 5000, 64, 128
"""Up to so many training samples a batch is small, so that an epoch has some steps."""


def default_name(model: str) -> str:
    """Of the run folder: after the run that a saved model lies in, else after the model."""
    path = Path(model)
    stem = path.parent.name if path.is_dir() and path.parent.name else path.stem
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", stem.partition(":")[0]).strip("._-")
    return f"{cleaned[:48] or 'model'}-compressed"


class Draft:
    """Fields of the pipeline file, and running what they say so far."""

    def __init__(
        self,
        name: str,
        data: dict[str, Any],
        teacher: dict[str, Any],
        budget: BudgetSettings,
        overrides: Sequence[str],
        runs: Path,
        bound: float,
    ) -> None:
        self.overrides, self.runs = overrides, runs
        self.leaned = False
        """Whether the end is the short one."""
        self.budget = budget
        self.raw: dict[str, Any] = {
            "name": name,
            "data": data,
            "teacher": teacher,
            "quality": {"seconds": quality_seconds(bound)},
            "bench": _bench(budget),
            "budget": budget_fields(budget),
        }
        for override in overrides:
            field = override.partition("=")[0].strip().split(".")[0]
            if field in ("name", "student", "prune"):
                raise ConfigError(
                    f"--set {override}: compress chooses `{field}` itself.",
                    fix="--name names the run; for a student of your own write a pipeline file",
                )
        self.pipeline()
        self.augmented = any(o.strip().startswith("data.augment") for o in overrides)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.runs / self.raw["name"]

    @property
    def file(self) -> Path:
        """The pipeline file in it."""
        return self.folder / FILE

    def fields(self) -> dict[str, Any]:
        """The file's fields, with the overrides."""
        raw = deepcopy(self.raw)
        for override in self.overrides:
            apply_override(raw, override)
        return raw

    def pipeline(self) -> Pipeline:
        """The same, checked.

        Raises:
            ConfigError: a field is wrong.
        """
        return validate(Pipeline, self.fields())

    def write(self) -> Path:
        """Writes `runs/NAME/pipeline.yaml`."""
        text = yaml.safe_dump(self.fields(), sort_keys=False, allow_unicode=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.file, HEAD.format(file=self.file) + text)
        return self.file

    def run(self, until: str | None, progress: Progress) -> RunResult:
        """Runs the pipeline as far as it is known."""
        return run(self.pipeline(), until=until, runs=self.runs, progress=progress)

    def artefact(self, result: RunResult, stage: str) -> Path:
        """A stage's folder."""
        folder = next(s.folder for s in result.summary.stages if s.name == stage)
        return result.folder / folder

    def augment(self, fields: dict[str, Any]) -> None:
        """Takes variations, unless the user has said which."""
        if fields and not self.augmented and "augment" not in self.raw["data"]:
            self.raw["data"] = {**self.raw["data"], "augment": fields}

    def views(self, count: int) -> None:
        """Sets the number of views."""
        augment = self.raw["data"].get("augment") or {}
        self.raw["data"] = {**self.raw["data"], "augment": {**augment, "views": count}}

    def batch_size(self, samples: int) -> int:
        """Samples a step."""
        return SMALL_BATCH if samples <= SMALL_DATA else BATCH

    def train_settings(self, candidate: Candidate, samples: int, epochs: int) -> TrainSettings:
        """How a candidate is tried out, in so many epochs at most."""
        fields = COPY_TRAIN if candidate.family == COPY else STUDENT_TRAIN
        kind = FinetuneTrain if candidate.family == COPY else TrainSettings
        own = {"epochs": max(1, epochs), "batch_size": self.batch_size(samples)}
        return kind.model_validate({**fields, **own})

    def lean(self) -> None:
        """Makes the end shorter: the file that the budget judges, measured where it looks."""
        self.leaned = True
        self.raw["quality"] = None
        threads = list(dict.fromkeys(limit.threads for limit in self.budget.latency)) or [1]
        self.raw["bench"] = {**self.raw["bench"], "threads": threads}
        form = self.pipeline().deployed_format
        self.raw["export"] = {"formats": [form], "precisions": ["int8"]}

    def take(self, candidate: Candidate, epochs: int, batch_size: int) -> None:
        """Makes a candidate the student."""
        if candidate.family == COPY:
            self.raw["student"] = {"copy_of": "teacher"}
            train = {**COPY_TRAIN, "epochs": max(1, epochs), "batch_size": batch_size}
            if candidate.prune:
                self.raw["prune"] = {**candidate.prune, "train": train}
            return
        self.raw["student"] = {"model": {"name": candidate.family, "width": candidate.size}}
        train = {**STUDENT_TRAIN, "epochs": epochs, "batch_size": batch_size}
        self.raw["distill"] = {"train": train}

    def quantize(self, epochs: int, batch_size: int) -> None:
        """QAT for so many epochs; 0 only calibrates."""
        train = {"epochs": epochs, "learning_rate": QAT_RATE, "batch_size": batch_size}
        self.raw["quantize"] = {"mode": "qat", "train": train} if epochs else {"mode": "ptq"}


def quality_seconds(bound: float) -> float:
    """What calibration and robustness may take of so many seconds in all."""
    return round(min(QualitySettings().seconds, QUALITY * bound), 1)


def _bench(budget: BudgetSettings) -> dict[str, Any]:
    """Short measurements, wherever the budget looks."""
    devices = list(dict.fromkeys(limit.device for limit in budget.latency))
    threads = list(dict.fromkeys([1, "all", *(limit.threads for limit in budget.latency)]))
    fields: dict[str, Any] = {"quick": True}
    if devices and devices != ["local"]:
        fields["devices"] = devices
    if threads != [1, "all"]:
        fields["threads"] = threads
    return fields
