"""A run of a small pipeline of many stages in a process that tells what it does and can be killed.

The processes are forked from one that has the libraries, which saves seconds at each start.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pkgutil
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import edgekd
from benchmarks.libraries import LIBRARIES
from edgekd.progress import Progress

SAMPLES = 300
"""Of the digits: a training of so few takes part of a second, and what stops it has to find it."""
PIPELINE: dict[str, Any] = {
    "name": "small",
    "teacher": {
        "model": {"name": "resnet8", "width": 0.5},
        "train": {"epochs": 8, "batch_size": 64},
    },
    "softlabels": {"features": True},
    "student": {"model": {"name": "resnet8", "width": 0.5}},
    "distill": {"method": [{"name": "kd", "temperature": "auto"}, "at"], "train": {"epochs": 6}},
    "finetune": {"train": {"epochs": 4}},
    "control": True,
    "prune": {"keep": 0.8, "round_to": 4, "train": {"epochs": 4}},
    "quantize": {"train": {"epochs": 2}},
    "export": {"formats": ["tflite"], "precisions": ["int8"]},
    "bench": "quick",
}
"""All stages but those of a search and of an assistant, which run the same ones again."""
DATA = "small.npz"
REPORT = "report"
"""The summary and the page, which are written after the last stage."""
STILL = 300.0
"""Seconds without a word and without work: a run that waits so long waits for ever."""
SOME = 1.0
"""Seconds of a processor: less in `STILL` seconds is no work."""
TIMES = 20.0
"""A stage that works so many times as long as the whole undisturbed run did does not end."""


class Teller(Progress):
    """Sends what happens to who kills. What follows the last stage is told as one more."""

    def __init__(self, channel: Connection) -> None:
        self.channel = channel
        self.last = ""

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        self.last = stages[-1]

    def stage_started(self, stage: str) -> None:
        self.channel.send(("started", stage))

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        self.channel.send(("cached" if cached else "finished", stage))
        if stage == self.last:
            self.stage_started(REPORT)


class Run:
    """A process that runs the pipeline, in a session of its own.

    Whether it hangs is told by what it works, and not by the clock alone: on a busy machine a run
    may take many times as long, and is no worse for that.

    Args:
        folder: of its run folders; the data lies beside it.
        until: the last stage; None for all.
        bound: seconds of a processor that one stage may take.
    """

    def __init__(self, folder: Path, until: str | None, bound: float = float("inf")) -> None:
        self.channel, theirs = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.get_context("fork").Process(
            target=_run, args=(folder, until, theirs)
        )
        self.process.start()
        theirs.close()
        self.bound = bound
        self.made: list[str] = []
        """The stages that it began to make; the last one of them works."""
        self.hangs = False
        self.worked = 0.0
        """Seconds of processors that it and what it started took when it was last looked at."""
        self._told = 0.0
        self._moved = (0.0, time.monotonic())

    def next(self) -> tuple[str, str] | None:
        """Waits for what happens next; None after the process's end, or where it hangs."""
        while not self.channel.poll(1.0):
            if self._stuck():
                self.hangs = True
                return None
        return self.now()

    def now(self, seconds: float = 0.0) -> tuple[str, str] | None:
        """What happens within so many seconds; None where nothing does."""
        try:
            if not self.channel.poll(seconds):
                return None
            event, stage = self.channel.recv()
        except (EOFError, OSError):
            return None
        if event == "started":
            self.made.append(stage)
        self._told, self._moved = self.worked, (self.worked, time.monotonic())
        return event, stage

    def _stuck(self) -> bool:
        """Whether it neither works nor ends, or works without an end."""
        now = time.monotonic()
        self.worked = max(self.worked, _worked(self.process.pid))
        if self.worked - self._moved[0] >= SOME:
            self._moved = (self.worked, now)
        return now - self._moved[1] > STILL or self.worked - self._told > self.bound

    def kill(self) -> bool:
        """kill -9 of the run alone, as the system's memory killer does it. The processes that it
        started have a second to notice.

        Returns:
            Whether that ended it: it may have come to its end before.
        """
        assert self.process.pid is not None
        self.process.kill()
        while self.now() is not None:  # what it had told before
            pass
        self.process.join()
        with contextlib.suppress(ProcessLookupError):
            for _ in range(20):
                os.killpg(self.process.pid, 0)  # there are some
                time.sleep(0.05)
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.exitcode == -signal.SIGKILL

    def end(self) -> str:
        """Waits for the end; what went wrong, "" where nothing did."""
        while self.next() is not None:
            pass
        if self.hangs:
            self.kill()
            return "it hangs"
        self.process.join()
        return "" if self.process.exitcode == 0 else f"it ended with {self.process.exitcode}"


def _run(folder: Path, until: str | None, channel: Connection) -> None:
    os.setsid()
    data = {"source": "npz", "path": str(folder.parent / DATA)}
    pipeline = {**PIPELINE, "data": {**data, "augment": {"shift": 1, "views": 2}}}
    edgekd.run(pipeline, until=until, runs=folder, progress=Teller(channel))


def write_data(folder: Path) -> None:
    """The data of all runs below a folder: images of digits."""
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    x = digits.images[:SAMPLES].astype(np.uint8)[:, None]
    np.savez(folder / DATA, x=x, y=digits.target[:SAMPLES])


def _worked(pid: int | None) -> float:
    """Seconds of processors that a process and all that it started took, ended ones included."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = one.cpu_times()
                total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def timed(folder: Path, until: str | None) -> tuple[dict[str, float], float]:
    """An undisturbed run: seconds of each stage, in their order, and what a stage may work before
    it is said to hang.

    Raises:
        SystemExit: the run failed.
    """
    run, began, seconds = Run(folder, until), 0.0, {}
    while (told := run.next()) is not None:
        event, stage = told
        if event == "started":
            began = time.monotonic()
        if event == "finished" and stage not in seconds:
            seconds[stage] = time.monotonic() - began
    if wrong := run.end():
        raise SystemExit(f"The undisturbed run failed: {wrong}.")
    seconds[REPORT] = time.monotonic() - began
    return seconds, 60 + TIMES * run.worked


def preload(quick: bool) -> None:
    """Loads what the stages, or the first ones, use, and computes nothing: a fork has it then."""
    import edgekd.stages

    for module in pkgutil.iter_modules(edgekd.stages.__path__):
        importlib.import_module(f"edgekd.stages.{module.name}")
    for name in () if quick else LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
