"""Where trials run. An executor maps a function over trial jobs: it takes the next job when it has
room for it, and gives each outcome as soon as it is there, in any order.

`local` is one. Another, for a cluster, has the same form: jobs and outcomes are plain data, and a
worker needs the pipeline's files, the folder of runs and the study's storage.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from edgekd.errors import EdgekdError
from edgekd.sweep.trial import TrialJob, TrialOutcome

Work = Callable[[TrialJob], TrialOutcome]
Executor = Callable[[Work, Iterable[TrialJob]], Iterator[TrialOutcome]]
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""


def local(workers: int) -> Executor:
    """Trials on this machine, so many at once: one in this process, more in their own."""
    return _one if workers == 1 else lambda work, jobs: _several(work, jobs, workers)


EXECUTORS: dict[str, Callable[[int], Executor]] = {"local": local}
"""By the name that `--executor` has; each takes how many trials run at once."""


def named(name: str, workers: int) -> Executor:
    """An executor by its name.

    Raises:
        KeyError: there is none of this name.
    """
    return EXECUTORS[name](workers)


def _one(work: Work, jobs: Iterable[TrialJob]) -> Iterator[TrialOutcome]:
    for job in jobs:
        yield work(job)


def _several(work: Work, jobs: Iterable[TrialJob], workers: int) -> Iterator[TrialOutcome]:
    todo, running = iter(jobs), set[Future[TrialOutcome]]()
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // workers)
    silent = logging.root.manager.disable >= logging.WARNING
    with ProcessPoolExecutor(workers, context, _begin, (os.getpid(), threads, silent)) as pool:
        try:
            while True:
                while len(running) < workers and (job := next(todo, None)) is not None:
                    running.add(pool.submit(work, job))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise EdgekdError(
                "A process of the sweep was ended from outside.",
                where="by the system, where memory ran out, or by somebody",
                fix="the same command goes on from there; fewer at once with -j",
            ) from error
        except BaseException:  # Ctrl-C, too: leaving the pool waits for trials that take hours
            for process in multiprocessing.active_children():
                process.kill()
            raise


def _begin(parent: int, threads: int, silent: bool) -> None:
    """Of each worker: it ends with its parent however that ends, and leaves Ctrl-C to it.

    Args:
        parent: its process number.
        threads: that torch gets here, unless the user has said.
        silent: whether libraries' warnings are shown as little as in the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with_parent = getattr(ctypes.CDLL(None), "prctl", None)
    if with_parent is not None:
        with_parent(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when torch is loaded
    if silent:
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
