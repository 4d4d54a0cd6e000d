"""Running a pipeline: what is finished is taken, what is not is made, and the figures gathered."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekd import search, workers
from edgekd.advice.advise import advise
from edgekd.ahead import check_ahead, required
from edgekd.config.load import load_pipeline, validate
from edgekd.config.package import PackageSettings
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError, StageError, of_system
from edgekd.nodes import ORDER, Node
from edgekd.plan import make_plan
from edgekd.progress import SILENT, Progress
from edgekd.results import ModelFigures, StageFigures, Summary, TeacherFigures
from edgekd.stages.assistant import choose
from edgekd.stages.base import Job, Made
from edgekd.stages.check import no_better
from edgekd.stages.networks import validation_of
from edgekd.stages.report import REPORT, write_report
from edgekd.stages.teacher import check_gate
from edgekd.store import Store, read_json, write_json
from edgekd.summary import gather
from edgekd.tracking import tracked

SUMMARY = "summary.json"


@dataclass(frozen=True)
class RunResult:
    """What `edgekd.run` gives back."""

    folder: Path
    """The run folder."""
    summary: Summary
    """All figures."""

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.folder / REPORT

    @property
    def budget_met(self) -> bool:
        """Whether no budget was missed."""
        return all(row.ok for row in self.summary.budget)

    def model(self, format: str, precision: str, *, stage: str = "student") -> Path:
        """An exported file.

        Raises:
            KeyError: the run made no such file.
        """
        for figures in self.summary.models:
            if (figures.stage, figures.format, figures.precision) == (stage, format, precision):
                return self.folder / figures.path
        raise KeyError(f"{stage} {precision} {format}")


def run(
    source: str | Path | Mapping[str, Any] | Pipeline,
    *,
    overrides: Sequence[str] = (),
    from_stage: str | None = None,
    until: str | None = None,
    runs: str | Path = "runs",
    progress: Progress = SILENT,
) -> RunResult:
    """Runs a pipeline and returns its figures.

    Args:
        source: a pipeline file, the name of a shipped one, a mapping like one, or a `Pipeline`.
            Relative paths in a mapping start from the current folder.
        overrides: "key.path=value" each, over the file.
        from_stage: this stage and those that use it are made again.
        until: the last stage to run.
        runs: where run folders lie.

    Raises:
        ConfigError: the pipeline is wrong, with the field and the line.
        EdgekdError: a stage failed; what was finished before is kept.
    """
    pipeline, base = resolve(source, overrides)
    make = _run if pipeline.student.search is None else _search
    result = make(pipeline, base, from_stage, until, Path(runs), progress)
    if pipeline.package is not None and until is None:
        _package(pipeline.package, result, progress)
    return result


def _search(
    pipeline: Pipeline,
    base: Path,
    from_stage: str | None,
    until: str | None,
    runs: Path,
    progress: Progress,
) -> RunResult:
    """Runs everything before the student once, and an ordinary pipeline for each candidate that
    fits; all share what comes before. The summary is the best one's, with a row for each.
    """
    progress = search.Repeated(progress)
    early = ORDER[: ORDER.index("check") + 1]
    first_from, first_until = (
        None if stage in ORDER and stage not in early else stage for stage in (from_stage, until)
    )
    before = _run(pipeline, base, first_from, first_until, runs, progress)
    if first_until is not None:
        return before
    # What comes before the students has been made again by now, if it was to be.
    again = "distill" if from_stage in early else from_stage
    summary = search.each_candidate(
        pipeline,
        before.summary,
        before.folder,
        lambda one: _run(one, base, again, until, runs, progress).summary,
        progress,
    )
    return _write(summary, before.folder)


def _run(
    pipeline: Pipeline,
    base: Path,
    from_stage: str | None,
    until: str | None,
    runs: Path,
    progress: Progress,
) -> RunResult:
    with tracked(pipeline, runs / pipeline.name, progress) as tracker:
        told = tracker or progress
        made = make(pipeline, base, from_stage=from_stage, until=until, runs=runs, progress=told)
        result = _write(made.summary(), made.folder)
        if tracker is not None:
            tracker.summary(result.summary)
    return result


@dataclass(frozen=True)
class MadeStages:
    """The finished stages of a pipeline, before anything is concluded from them."""

    pipeline: Pipeline
    """With the assistant that `auto` stands for."""
    folder: Path
    """The run folder."""
    stages: list[StageFigures]
    """In the order of the run."""
    manifests: dict[str, dict[str, Any]]
    """By node."""

    def artefact(self, node: str) -> Path:
        """The folder of a node's artefact."""
        return self.folder / next(stage.folder for stage in self.stages if stage.name == node)

    def summary(self) -> Summary:
        """All figures, and what follows from them."""
        from edgekd.devices.machine import describe_machine

        summary = gather(self.pipeline, describe_machine(), self.stages, self.manifests)
        summary.advice = advise(summary, self.folder)
        return summary


def make(
    pipeline: Pipeline,
    base: Path,
    *,
    from_stage: str | None = None,
    until: str | None = None,
    runs: Path,
    progress: Progress = SILENT,
) -> MadeStages:
    """Makes the stages of a pipeline that are not finished; writes no summary and no report.

    Args:
        base: the folder that relative paths of the pipeline file start from.
        from_stage: this stage and those that use it are made again.
        until: the last stage.
        runs: where run folders lie.

    Raises:
        EdgekdError: a stage failed; what was finished before is kept.
    """
    store = Store(runs / pipeline.name)
    if pipeline.distill.assistant == "auto" and pipeline.student.search is None:
        pipeline = _with_assistant(pipeline, base, store, progress)
    nodes = select(make_plan(pipeline, base), until)
    again = remade(nodes, from_stage)
    for node in again:
        store.discard(node.kind, node.key)
    progress.run_started(pipeline.name, [node.name for node in nodes])
    manifests: dict[str, dict[str, Any]] = {}
    stages: list[StageFigures] = []
    early: dict[str, tuple[dict[str, Any], bool]] = {}

    def take(node: Node) -> tuple[dict[str, Any], bool]:
        found = store.finished(node.kind, node.key)
        if found is not None:
            return found, True
        shared = node.shared and node not in again
        return _make(node, store, base, progress, shared=shared)

    for node in nodes:
        manifest, cached = early[node.name] if node.name in early else take(node)
        manifests[node.name] = manifest
        if node.stage == "data" and not cached:  # told before anything is trained
            for text in manifest["warnings"]:
                progress.message(f"note: {text}")
        figures = _stage_figures(node, manifest, cached, store)
        for text in _no_better(node, manifests):
            figures.warnings.append(text)
            progress.message(f"warning: {text}")
        stages.append(figures)
        progress.stage_finished(
            node.name, cached=cached, seconds=manifest["seconds"], note=manifest["note"]
        )
        if node.stage == "data":
            early = check_ahead(pipeline, nodes, store, base, take)
        if node.kind == "teacher":
            check_gate(required(pipeline, node), validation_of(manifest), node.name)
    return MadeStages(pipeline, store.folder, stages, manifests)


def read_summary(folder: Path) -> Summary:
    """The summary of a run folder.

    Raises:
        ConfigError: it is no run folder.
        StageError: its summary is broken.
    """
    path = folder / SUMMARY
    if not path.is_file():
        raise ConfigError(
            "This is not the folder of a run that was finished.",
            where=str(path),
            fix="give runs/NAME, or run the pipeline first",
        )
    try:
        return Summary.model_validate(read_json(path))
    except ValidationError as error:
        raise StageError(
            "The summary of this run is of another version of edgekd.",
            where=f"{path}: {error.errors()[0]['loc']}",
            fix="run the pipeline again: what is finished is taken over",
        ) from error


def resolve(
    source: str | Path | Mapping[str, Any] | Pipeline, overrides: Sequence[str] = ()
) -> tuple[Pipeline, Path]:
    """The pipeline and the folder that its relative paths start from.

    Raises:
        ConfigError: the pipeline is wrong.
    """
    if isinstance(source, str | Path):
        return load_pipeline(source, overrides)
    if overrides:
        raise ConfigError("Overrides belong to a pipeline file: change the mapping instead.")
    if isinstance(source, Pipeline):
        return source, Path.cwd()
    return validate(Pipeline, dict(source)), Path.cwd()


def select(nodes: list[Node], until: str | None) -> list[Node]:
    """The nodes up to the stage `until`.

    Raises:
        ConfigError: the pipeline has no such stage.
    """
    if until is None:
        return nodes
    _require_stage(nodes, until, "--until")
    last = ORDER.index(until)
    wanted = [node for node in nodes if ORDER.index(node.kind) <= last]
    for node in wanted:  # what several teachers' mixture needs stands after it in the order
        wanted += [used for used in node.inputs.values() if used not in wanted]
    return [node for node in nodes if node in wanted]


def remade(nodes: list[Node], from_stage: str | None) -> list[Node]:
    """The nodes of `from_stage` and all that use them.

    Raises:
        ConfigError: the pipeline has no such stage.
    """
    if from_stage is None:
        return []
    _require_stage(nodes, from_stage, "--from")
    again: list[Node] = []
    for node in nodes:
        if node.kind == from_stage or any(used in again for used in node.inputs.values()):
            again.append(node)
    return again


def _require_stage(nodes: list[Node], stage: str, option: str) -> None:
    stages = list(dict.fromkeys(node.kind for node in nodes))
    if stage not in stages:
        raise ConfigError(
            f"{option} {stage}: this pipeline has no such stage.",
            fix=f"its stages are {', '.join(stages)}",
        )


def _make(
    node: Node, store: Store, base: Path, progress: Progress, *, shared: bool
) -> tuple[dict[str, Any], bool]:
    """Runs a node and keeps what it made, unless another process has made it meanwhile or, where it
    is `shared`, another run folder has it.

    Returns:
        Its manifest, and whether it was found finished.
    """

    def waiting() -> None:
        progress.message(f"{node.name} is being made by another edgekd; waiting for it")

    with (
        _system_told(f"{node.name}, writing to {store.work / f'{node.kind}-{node.key}'}", store),
        store.making(node.kind, node.key, waiting, shared=shared) as out,
    ):
        found = store.finished(node.kind, node.key)
        if found is None and shared and store.adopt(node.kind, node.key):
            found = store.finished(node.kind, node.key)
        if found is not None:
            return found, True
        progress.stage_started(node.name)
        started = time.perf_counter()
        job = Job(
            settings=node.settings,
            inputs={role: store.path(n.kind, n.key) for role, n in node.inputs.items()},
            out=out,
            node=node.name,
            seed=node.seed,
            base=base,
            progress=progress,
        )
        stage = importlib.import_module(f"edgekd.stages.{node.module}")
        with workers.helping(job) as processes:
            made: Made = stage.run(job)
        manifest = _manifest(node, made, time.perf_counter() - started, processes)
        store.finish(node.kind, node.key, out, manifest)
    return manifest, False


@contextlib.contextmanager
def _system_told(where: str, store: Store) -> Iterator[None]:
    """Tells what a full disk, a forbidden folder or a lack of memory means, and where."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        free = f" ({_free(store.folder) / 1e6:.1f} MB free)" if isinstance(error, OSError) else ""
        told = of_system(error, where + free)
        if told is None:
            raise
        raise told from error


def _free(folder: Path) -> int:
    """Bytes that the disk has, whether the folder is there yet or not."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free


def _manifest(node: Node, made: Made, seconds: float, processes: int) -> dict[str, Any]:
    names = (field.name for field in fields(made))
    figures = {name: getattr(made, name) for name in names if name not in ("note", "warnings")}
    return {
        "stage": node.stage,
        "node": node.name,
        "key": node.key,
        "seed": node.seed,
        "inputs": {role: used.key for role, used in node.inputs.items()},
        "settings": node.settings.model_dump(mode="json"),
        "outside": dict(node.outside),
        "seconds": round(seconds, 3),
        "processes": processes,
        "note": made.note,
        "warnings": made.warnings,
        **{name: [one.model_dump(mode="json") for one in found] for name, found in figures.items()},
    }


def _with_assistant(pipeline: Pipeline, base: Path, store: Store, progress: Progress) -> Pipeline:
    """The pipeline with the assistant that `auto` stands for, which takes the data to tell."""
    node = make_plan(pipeline, base)[0]
    if store.finished(node.kind, node.key) is None:
        progress.run_started(pipeline.name, [node.name])
        manifest, cached = _make(node, store, base, progress, shared=False)
        progress.stage_finished(
            node.name, cached=cached, seconds=manifest["seconds"], note=manifest["note"]
        )
    assistant, why = choose(pipeline, store.path(node.kind, node.key), base)
    progress.message(why)
    chosen = (assistant,) if assistant is not None else ()
    distill = pipeline.distill.model_copy(update={"assistant": chosen})
    return pipeline.model_copy(update={"distill": distill})


def _no_better(node: Node, manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The warning, once the student is distilled, that its teacher has nothing to teach it."""
    check = node.name.replace("distill", "check")
    if node.stage != "distill" or check not in manifests:
        return []
    scores = [TeacherFigures.model_validate(raw) for raw in manifests[check]["teachers"]]
    known = [figures.validation for figures in scores if figures.validation is not None]
    best = max(known, key=lambda score: score.value, default=None)
    student = ModelFigures.model_validate(manifests[node.name]["models"][-1]).validation
    text = no_better(best, student)
    return [text] if text else []


def _stage_figures(
    node: Node, manifest: dict[str, Any], cached: bool, store: Store
) -> StageFigures:
    return StageFigures(
        name=node.name,
        key=node.key,
        cached=cached,
        seconds=manifest["seconds"],
        folder=store.path(node.kind, node.key).name,
        warnings=list(manifest["warnings"]),
    )


def _package(settings: PackageSettings, result: RunResult, progress: Progress) -> None:
    """Bundles of the finished run, unless its model misses the budget."""
    from edgekd.package.write import package_missing

    if not result.budget_met:
        progress.message("no bundles: the model misses its budget")
        return
    made = package_missing(result.folder, result.summary, settings.targets, settings.version)
    for bundle in made:
        progress.message(f"bundle for {bundle.target}: {bundle.folder}")


def _write(summary: Summary, folder: Path) -> RunResult:
    with _system_told(f"the summary and the report, writing to {folder}", Store(folder)):
        write_json(folder / SUMMARY, summary.model_dump(mode="json"))
        write_report(summary, folder)
    return RunResult(folder, summary)
