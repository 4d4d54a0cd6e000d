"""A sweep whose study is in PostgreSQL: shared by two processes, stopped, and gone on with."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PASSWORD, Server, needs_postgres, postgres

from edgekd.config.load import load_pipeline
from edgekd.database import read_url
from edgekd.errors import ConfigError
from edgekd.progress import SILENT
from edgekd.sweep.command import _Sweep, sweep
from edgekd.sweep.executor import Executor, Work, local
from edgekd.sweep.space import load_search
from edgekd.sweep.trial import TrialJob, TrialOutcome

pytestmark = [pytest.mark.slow, needs_postgres]
PIPELINE = """\
name: tiny
data: digits
teacher: {model: {name: mlp}, train: {epochs: 1}}
student: {model: {name: mlp}}
distill: {method: kd, train: {epochs: 1, learning_rate: 1.0e-2}}
export: {formats: [onnx], precisions: [float32], golden: 0}
bench: {quick: true, runtimes: [onnxruntime], threads: [1]}
quality: false
"""
SEARCH = """\
trials: 8
seeds: 1
objectives: [accuracy]
early_stop: false
space:
  student.model.width: [0.1, 0.2]
  distill.method.temperature: [1, 2, 4, 8]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    (made / "pipeline.yaml").write_text(PIPELINE)
    (made / "search.yaml").write_text(SEARCH)
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


def _known(server: Server) -> dict[int, Any]:
    """The finished trials that the server holds, read as another process would."""
    import optuna

    study = optuna.load_study(study_name="tiny-sweep", storage=read_url(server.url()))
    return {t.number: t for t in study.trials if t.state.is_finished()}


def _go_on(folder: Path, url: str, executor: Executor) -> None:
    sweep(
        str(folder / "pipeline.yaml"), folder / "search.yaml", runs=folder / "runs",
        storage=url, executor=executor,
    )  # fmt: skip


def _child(folder: Path, url: str, told: Connection) -> None:
    """A process's part of the sweep, which tells each trial that it has ended."""

    def telling(work: Work, jobs: Iterable[TrialJob]) -> Iterator[TrialOutcome]:
        for outcome in local(1)(work, jobs):
            yield outcome
            told.send(outcome.number)

    _go_on(folder, url, telling)


def _two_that_are_killed(folder: Path, url: str) -> set[int]:
    """Two processes that begin at once and are killed after a trial each: the trials' numbers."""
    context = multiprocessing.get_context("fork")  # torch is imported already
    ends = [context.Pipe(duplex=False) for _ in range(2)]
    children = [context.Process(target=_child, args=(folder, url, there)) for _, there in ends]
    for child, (_, there) in zip(children, ends, strict=True):
        child.start()
        there.close()
    ended, left = set(), {here: child for child, (here, _) in zip(children, ends, strict=True)}
    while left:  # each at once: it would go on through all that there is to try
        told = wait(list(left), timeout=300)
        assert told
        for here in told:
            child = left.pop(here)  # type: ignore[index]
            ended.add(here.recv())  # type: ignore[union-attr]
            child.kill()
            child.join()
    return ended


def test_two_processes_share_a_study_that_is_stopped_and_gone_on_with(
    folder: Path, server: Server
) -> None:
    import torch  # noqa: F401

    ended = _two_that_are_killed(folder, server.url())  # its tables are not there yet
    before = _known(server)
    assert len(ended) == 2
    assert ended <= set(before)

    def stopping(work: Work, jobs: Iterable[TrialJob]) -> Iterator[TrialOutcome]:
        for outcome in local(1)(work, jobs):
            server.stop()
            yield outcome

    with pytest.raises(ConfigError, match="storage was lost") as caught:
        _go_on(folder, server.url(), stopping)
    assert "the same command goes on" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    server.start()

    source = str(folder / "pipeline.yaml")
    pipeline, base = load_pipeline(source)
    asked = load_search(folder / "search.yaml")
    rest = _Sweep(asked, pipeline, base, source, (), folder / "runs", server.url(), SILENT)
    rest.run(local(1))
    trials = rest.study.figures()
    rest.study.close()
    settings = [json.dumps(t.setting, sort_keys=True) for t in trials]
    assert len(settings) == len(set(settings)) == 8  # all of the space, each once
    assert {t.state for t in trials} == {"finished"}
    after = _known(server)
    for number, trial in before.items():
        assert after[number].datetime_complete == trial.datetime_complete
        assert (after[number].params, after[number].values) == (trial.params, trial.values)
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(PASSWORD.encode() in content for content in written)
