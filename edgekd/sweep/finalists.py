"""The points of the front, made again with several seeds, up to the measured file."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from edgekd.config.load import load_pipeline
from edgekd.config.sweep import SIZE, SweepSettings, device_of
from edgekd.pipeline import make
from edgekd.progress import Progress, Relay
from edgekd.report.settings import label
from edgekd.results import Estimate, ModelFigures, Summary
from edgekd.statistics import mean_interval
from edgekd.summary import deployed
from edgekd.sweep.front import front_of
from edgekd.sweep.objectives import as_point, others_of
from edgekd.sweep.point_file import write_point_file
from edgekd.sweep.space import encoded, overrides_of
from edgekd.sweep.trial import TRAINED
from edgekd.sweep_results import PointFigures, TrialFigures

FOLDER = "front"
"""In the sweep's run folder: a pipeline file a point."""


class _Quiet(Relay):
    """A point's stages are told by what is made anew."""

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        """Told by the sweep."""

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        if not cached:
            self.inner.stage_finished(stage, cached=cached, seconds=seconds, note=note)


def finalists(
    front: Sequence[TrialFigures],
    source: str,
    overrides: Sequence[str],
    name: str,
    runs: Path,
    sweep: SweepSettings,
    progress: Progress,
) -> list[PointFigures]:
    """Makes each point with the seeds of the search file, writes its pipeline file, and says which
    of them are still on the front.

    Args:
        front: the trials on the front, from cheap to dear.
        overrides: the user's.
        name: of the sweep's run folder, in which everything that is finished is taken over.
    """
    points = []
    for place, trial in enumerate(front, start=1):
        setting = trial.setting
        progress.message(f"point {place} of {len(front)}: {label(setting)}")
        own = [
            *overrides,
            *overrides_of(encoded(setting, sweep), sweep),
            f"seeds={sweep.seeds}",
            f"name={name}",
        ]
        file = runs / name / FOLDER / f"{place}.yaml"
        write_point_file(file, source, own, runs, f"point {place} of the front, {label(setting)}")
        pipeline, base = load_pipeline(source, own)
        summary = make(pipeline, base, runs=runs, progress=_Quiet(progress)).summary()
        files = deployed(pipeline, summary.models)
        points.append(_figures(trial, summary, files, f"{FOLDER}/{place}.yaml", sweep))
    kept = front_of([as_point(p.score.value, p.values, sweep) for p in points])
    return [p.model_copy(update={"front": k in kept}) for k, p in enumerate(points)]


def _figures(
    trial: TrialFigures,
    summary: Summary,
    files: Sequence[ModelFigures],
    pipeline: str,
    sweep: SweepSettings,
) -> PointFigures:
    """A point's figures: the score of the last network, the costs of the deployed file."""
    made = [m.stage for m in summary.models if m.format == "torch" and m.stage in TRAINED]
    last = max(made, key=TRAINED.index)
    scores = [
        m.validation.value
        for m in summary.models
        if (m.stage, m.format) == (last, "torch") and m.validation is not None
    ]
    paths = {m.path for m in files}
    values = {}
    for objective in others_of(sweep):
        if objective == SIZE:
            values[objective] = float(max(m.bytes for m in files))
        else:
            device = device_of(objective)
            rows = [r for r in summary.bench if r.model in paths and r.device == device]
            times = [r.p50_us for r in rows if r.threads == 1 and r.p50_us is not None]
            values[objective] = statistics.median(times)
    mean, low, high = mean_interval(scores) if len(scores) > 1 else (scores[0],) * 3
    return PointFigures(
        trial=trial.number,
        setting=trial.setting,
        pipeline=pipeline,
        seeds=summary.seeds,
        score=Estimate(value=mean, low=low, high=high),
        scores=scores,
        values=values,
        test=[m.accuracy.value for m in files if m.accuracy is not None],
        front=True,
    )
