"""Stages in several processes: the first one runs the pipeline, and tells the others what to do.

They know nothing of pipelines, run folders and locks. They take their part in the training or the
labelling of a stage, write nothing, and wait for the next one.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.errors import ConfigError, StageError
from edgekd.progress import SILENT
from edgekd.store import digest

if TYPE_CHECKING:
    from edgekd.config.methods import Method
    from edgekd.stages.base import Job

COMMANDS = ("run", "labels")
"""Those that a launcher may start several times."""


def launched() -> bool:
    """Whether a launcher started several processes; asks the environment only."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def first_to_tell() -> bool:
    """Whether no other process has told an error of this run: one failure is told once."""
    if not launched():
        return True
    from edgekd.train import processes

    return processes.first_to_tell()


def together(arguments: Sequence[str], command: Callable[[], None]) -> None:
    """Runs a command in the first process, while the others help it.

    Raises:
        ConfigError: it is none that several processes can run.
        LostProcess: one of them has ended.
    """
    from edgekd.train import processes

    if processes.start():
        follow()
        return
    try:
        name = next((each for each in arguments if not each.startswith("-")), "")
        if name not in COMMANDS:
            raise ConfigError(
                f"edgekd {name} does not run in several processes.",
                fix=f"start it without torchrun or accelerate; they are for {_named(COMMANDS)}",
            )
        command()
    finally:
        with suppress(processes.LostProcess):  # what failed is on its way to the user already
            processes.end()


@contextmanager
def helping(job: Job[Any]) -> Iterator[int]:
    """Within it, the stage of a job may be made by all processes.

    Yields:
        How many they are; 1 where it has to be made by one, and the others wait.
    """
    if not launched():  # torch is not loaded for this question
        yield 1
        return
    from edgekd.train import processes

    why = _alone(job) if processes.several() else ""
    if why is None:
        settings = job.settings.model_dump(mode="json")
        told = {
            "module": type(job.settings).__module__,
            "settings": settings,
            "class": type(job.settings).__qualname__,
            "digest": digest(settings),
            "inputs": {role: str(folder.resolve()) for role, folder in job.inputs.items()},
            "out": str(job.out.resolve()),
            "node": job.node,
            "seed": job.seed,
            "base": str(job.base.resolve()),
        }
        processes.tell(told)
        with processes.shared():
            yield processes.count()
        return
    if why:
        job.progress.message(f"{job.node} is made by one process: {why}")
    yield 1


def follow() -> None:
    """Helps with the first process's stages until it has no more.

    Raises:
        EdgekdError: this process could not do its part.
    """
    from edgekd.stages.base import Job
    from edgekd.train import processes

    while (told := processes.hear()) is not None:
        stage = importlib.import_module(told["module"])
        settings = getattr(stage, told["class"]).model_validate(told["settings"])
        if digest(settings.model_dump(mode="json")) != told["digest"]:
            raise StageError(
                "The processes of this run do not have the same edgekd.", where=told["node"]
            )
        job = Job(
            settings=settings,
            inputs={role: Path(folder) for role, folder in told["inputs"].items()},
            out=Path(told["out"]),
            node=told["node"],
            seed=told["seed"],
            base=Path(told["base"]),
            progress=SILENT,
        )
        with suppress(processes.NotFirst), processes.shared():
            stage.run(job)
            raise AssertionError(f"{job.node} has no part that is shared")


def _alone(job: Job[Any]) -> str | None:
    """Why a stage is not shared, "" where that goes without saying; None if it is."""
    from edgekd.stages.distill import DistillStage
    from edgekd.stages.finetune import FinetuneStage
    from edgekd.stages.prune import PruneStage
    from edgekd.stages.quantize import QuantizeStage
    from edgekd.stages.softlabels import SoftLabelsStage
    from edgekd.stages.teacher import TeacherStage
    from edgekd.stages.teachers import is_labels

    settings = job.settings
    if isinstance(settings, TeacherStage):
        return None if settings.train is not None and not settings.features_only else ""
    if isinstance(settings, SoftLabelsStage):
        return "" if is_labels(job.inputs["teacher"]) else None
    if isinstance(settings, PruneStage) and settings.prune.measured:
        return "its target is measured"
    if isinstance(settings, DistillStage | FinetuneStage | PruneStage):
        return _of_method(settings.method)
    if isinstance(settings, QuantizeStage) and settings.quantize.mode == "qat":
        return "a network with fake quantizers is one graph"
    return ""


def _of_method(method: Method) -> str | None:
    from edgekd.config.methods import is_mutual, needs_features

    if needs_features(method):
        return "its method looks at feature maps"
    return "the method mutual trains several networks" if is_mutual(method) else None


def _named(names: Sequence[str]) -> str:
    return " and ".join(f"edgekd {name}" for name in names)
