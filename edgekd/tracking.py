"""A run's losses and figures in TensorBoard or MLflow, where the pipeline file asks for it.

Told are the loss and the score of every epoch of every stage, and at the end the figures of the
files and the keys of the stages; nothing of the data. No stage knows of it. What fails there is
told once, and the run goes on without it.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError
from edgekd.mlflow_client import client
from edgekd.progress import Epoch, Progress, Relay
from edgekd.results import Summary

FOLDER = "tensorboard"
"""In the run folder; in it a folder for each run of the command."""


class Tracker(Protocol):
    """Where it is written."""

    def number(self, name: str, value: float, step: int) -> None:
        """`step` is the stage's epoch from 1, or 0 of what is known at the end."""

    def text(self, name: str, text: str) -> None:
        """A key, or what else is no number."""

    def close(self, status: str) -> None:
        """`status` is FINISHED, FAILED or KILLED."""


class TensorBoard:
    """Event files in a folder of their own under the run folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        started = time.strftime("%Y-%m-%d-%H%M%S") + f"-{os.getpid()}"
        self._writer = SummaryWriter(str(folder / FOLDER / started))

    def number(self, name: str, value: float, step: int) -> None:
        """See `Tracker.number`."""
        self._writer.add_scalar(name, value, step)
        self._writer.flush()  # is looked at while the run goes on, and outlives a kill

    def text(self, name: str, text: str) -> None:
        """See `Tracker.text`."""
        self._writer.add_text(name, text)

    def close(self, status: str) -> None:
        """See `Tracker.close`; TensorBoard knows no status."""
        self._writer.close()


class Mlflow:
    """A run in the experiment of the pipeline's name, on the server of `MLFLOW_TRACKING_URI`."""

    def __init__(self, name: str) -> None:
        self._client = client()
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", name)
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        self._run = self._client.create_run(number).info.run_id

    def number(self, name: str, value: float, step: int) -> None:
        """See `Tracker.number`."""
        self._client.log_metric(self._run, _plain(name), value, step=step)

    def text(self, name: str, text: str) -> None:
        """See `Tracker.text`."""
        self._client.set_tag(self._run, _plain(name), text)

    def close(self, status: str) -> None:
        """See `Tracker.close`."""
        self._client.set_terminated(self._run, status)


def _plain(name: str) -> str:
    """MLflow's names have letters, digits, _, -, ., / and spaces; nodes of seeds have an @."""
    return re.sub(r"[^\w./ -]", "-", name)


class Tracked(Relay):
    """Passes everything on, and writes it down as well.

    Args:
        inner: the listener.
        what: the tracker's name, for the warning.
        start: makes it.
    """

    def __init__(self, inner: Progress, what: str, start: Callable[[], Tracker]) -> None:
        super().__init__(inner)
        self._what = what
        self._stage = ""
        self._before = self._last = 0
        self._tracker: Tracker | None = None
        try:
            self._tracker = start()
        except Exception as error:
            self._failed(error)

    def stage_started(self, stage: str) -> None:
        """Epochs are this stage's from now on."""
        self._stage, self._before, self._last = stage, 0, 0
        super().stage_started(stage)

    def epoch(self, epoch: Epoch) -> None:
        """A stage may train several times, as pruning in steps does: its epochs are counted on."""
        if epoch.number <= self._last:
            self._before += self._last
        self._last = epoch.number
        step = self._before + epoch.number
        self._number(f"{self._stage}/loss", epoch.loss, step)
        self._number(f"{self._stage}/{epoch.metric}", epoch.score, step)
        super().epoch(epoch)

    def summary(self, found: Summary) -> None:
        """The figures at the end."""
        for name, value in final_numbers(found).items():
            self._number(name, value, 0)
        for stage in found.stages:
            self._write(lambda to, s=stage: to.text(f"key/{s.name}", s.key))

    def close(self, status: str) -> None:
        """See `Tracker.close`."""
        self._write(lambda to: to.close(status))

    def _number(self, name: str, value: float, step: int) -> None:
        if math.isfinite(value):
            self._write(lambda to: to.number(name, value, step))

    def _write(self, write: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            write(self._tracker)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Servers and disks have many errors of their own, and none is worth a training."""
        self._tracker = None
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        self.message(f"warning: the run goes on without {self._what}: {reason}")


def final_numbers(summary: Summary) -> dict[str, float]:
    """Scores, bytes and median latencies of all networks and files, by stage, seed, precision and
    format."""
    found: dict[str, float] = {}
    for model in summary.models:
        name = f"{model.stage}@{model.seed}/{model.precision}-{model.format}"
        if model.accuracy is not None:
            found[f"{name}/test_{model.accuracy.metric}"] = model.accuracy.value
        found[f"{name}/bytes"] = model.bytes
    for row in summary.bench:
        form = row.model.rpartition(".")[2]
        if row.latency_us is not None:
            name = f"{row.stage}@{row.seed}/{row.precision}-{form}"
            found[f"{name}/{row.device}-{row.threads}/p50_us"] = row.latency_us.p50
    return found


@contextmanager
def tracked(pipeline: Pipeline, folder: Path, progress: Progress) -> Iterator[Tracked | None]:
    """Writes down what goes through it until the context is left; None where nothing is asked for.

    Args:
        folder: the run folder.
        progress: the listener that is told as well.

    Raises:
        ConfigError: the library that it needs is not installed.
    """
    if pipeline.track is None:
        yield None
        return
    if importlib.util.find_spec(pipeline.track) is None:
        raise ConfigError(
            f"track: {pipeline.track} needs a library that is not installed.",
            fix=f'pip install "edgekd[{pipeline.track}]", or leave `track` out',
        )
    starts: dict[str, tuple[str, Callable[[], Tracker]]] = {
        "tensorboard": ("TensorBoard", lambda: TensorBoard(folder)),
        "mlflow": ("MLflow", lambda: Mlflow(pipeline.name)),
    }
    found = Tracked(progress, *starts[pipeline.track])
    status = "FAILED"
    try:
        yield found
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        found.close(status)
