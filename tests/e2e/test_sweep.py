"""`edgekd sweep` on digits: killed in the middle, gone on with, and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import edgekd
from edgekd.report.sweep_terminal import front_table
from edgekd.sweep.command import SweepResult, sweep
from edgekd.sweep_results import SweepFigures, TrialFigures

PIPELINE = """\
name: tiny
data: digits
teacher: {model: {name: mlp, width: 2}, train: {epochs: 2, learning_rate: 1.0e-2}}
student: {model: {name: mlp, width: 0.5}}
distill: {method: kd, train: {epochs: 2, learning_rate: 1.0e-2}}
export: {formats: [tflite], precisions: [float32], golden: 0}
bench: {quick: true, runtimes: [litert], threads: [1]}
quality: false
"""
SEARCH = """\
trials: 6
seeds: 1
limits: {size: 100 kB}
space:
  student.model.width: [0.1, 1]
  distill.method.temperature: [2, 4, 8]
"""
COMMAND = (sys.executable, "-c", "from edgekd.cli import main; main()", "sweep")


class Told:
    """What a sweep said before it was killed, and what it had finished by then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def run_and_kill(self, after: str) -> None:
        """Runs the command and kills it as soon as a line starts with `after`."""
        words = [*COMMAND, "pipeline.yaml", "search.yaml"]
        process = subprocess.Popen(
            words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line)
                if line.startswith(after):
                    time.sleep(0.3)  # into the trial that follows
                    break
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL, "".join(self.lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    (made / "pipeline.yaml").write_text(PIPELINE)
    (made / "search.yaml").write_text(SEARCH)
    return made


def _sweep(folder: Path, **options: Any) -> SweepResult:
    return sweep(
        str(folder / "pipeline.yaml"), folder / "search.yaml", runs=folder / "runs", **options
    )


def _known(folder: Path) -> list[TrialFigures]:
    """What the database holds of finished trials, read as another process would."""
    import optuna

    url = f"sqlite:///{folder / 'runs' / 'tiny-sweep' / 'sweep.db'}"
    study = optuna.load_study(study_name="tiny-sweep", storage=url)
    return [t for t in study.trials if t.state.is_finished()]  # type: ignore[misc]


@pytest.fixture(scope="module")
def resumed(folder: Path) -> tuple[list[Any], list[Path], SweepResult]:
    """The trials that were finished at the kill, the teacher's folder, and the end of all."""
    Told(folder).run_and_kill("2/6")
    before = [(t.number, t.params, t.values, t.datetime_complete) for t in _known(folder)]
    teachers = list((folder / "runs" / "tiny-sweep").glob("teacher-*/manifest.json"))
    made = [(path, path.stat().st_mtime_ns) for path in teachers]
    result = _sweep(folder)
    assert [(path, path.stat().st_mtime_ns) for path in teachers] == made
    return before, teachers, result


@pytest.mark.slow
def test_a_killed_sweep_goes_on(folder: Path, resumed: Any) -> None:
    before, teachers, result = resumed
    assert len(before) >= 2
    after = {t.number: (t.number, t.params, t.values, t.datetime_complete) for t in _known(folder)}
    assert [after[number] for number, *_ in before] == before  # none was made again
    assert len(teachers) == 1
    settings = [json.dumps(t.setting, sort_keys=True) for t in result.figures.trials]
    assert len(settings) == len(set(settings)) == 6  # all of the space, each once


@pytest.mark.slow
def test_what_misses_a_limit_is_not_trained(resumed: Any) -> None:
    wide = [t for t in resumed[2].figures.trials if t.setting["student.model.width"] == 1]
    assert [(t.state, t.curve) for t in wide] == [("out", [])] * 3
    assert all("limit 100 kB" in t.reason and t.values["size"] > 100_000 for t in wide)


@pytest.mark.slow
def test_the_front_is_written(resumed: Any) -> None:
    result: SweepResult = resumed[2]
    written = json.loads((result.folder / "front.json").read_text())
    assert SweepFigures.model_validate(written) == result.figures
    assert result.page.is_file()
    points, trials = result.figures.front, {t.number: t for t in result.figures.trials}
    sizes = [(t.values["size"], t.number) for t in result.figures.trials if t.front]
    assert points
    assert [p.trial for p in points] == [number for _, number in sorted(sizes)]
    for point in points:  # the trained file is as large as the untrained one was
        assert point.values == trials[point.trial].values
        assert point.scores == [trials[point.trial].score]
    assert 0 < (result.figures.hypervolume or 0) <= 1
    front_table(result.figures)


@pytest.mark.slow
def test_a_point_is_ready_to_run_and_nothing_is_made_again(folder: Path, resumed: Any) -> None:
    result: SweepResult = resumed[2]
    again = edgekd.run(result.folder / result.figures.front[0].pipeline, runs=folder / "runs")
    assert all(stage.cached for stage in again.summary.stages)
    assert again.report.is_file()


@pytest.mark.slow
def test_the_same_again_tries_nothing(folder: Path, resumed: Any) -> None:
    before = resumed[2].figures
    again = _sweep(folder).figures
    assert again.model_copy(update={"date": before.date}) == before
