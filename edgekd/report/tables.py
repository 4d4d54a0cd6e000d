"""Rows of the page's tables that need more than a figure: each stage against the teacher."""

from __future__ import annotations

from dataclasses import dataclass

from edgekd.report import units
from edgekd.report.figures import (
    FORMATS,
    RUNTIMES,
    TEACHER,
    accuracy_of,
    base,
    bench_of,
    compare,
    deployed_format,
    first_seed,
    model_stages,
    of_stage,
    title,
)
from edgekd.results import Accuracy, BenchFigures, ModelFigures, Summary
from edgekd.tasks import names


@dataclass(frozen=True)
class Card:
    """A figure of the headline: the teacher's, the final model's, and the change."""

    name: str
    before: str
    after: str
    change: str
    good: bool


@dataclass(frozen=True)
class Against:
    """A figure and how it stands to the teacher's."""

    text: str
    ratio: str = ""


@dataclass(frozen=True)
class ModelRow:
    """A model in the table of stages or of files."""

    stage: str
    title: str
    kind: str
    path: str
    accuracy: Accuracy | None
    difference: str
    parameters: Against
    macs: Against
    size: Against
    latency: Against
    final: bool


def cards(summary: Summary) -> list[Card]:
    """The four figures that a reader wants first; those without a teacher show no change."""
    both = compare(summary)
    if both is None:
        return []
    final, teacher = both.final, both.teacher
    found = [
        _card("Parameters", final.parameters, teacher and teacher.parameters, "fewer", units.count),
        _card("File", final.bytes, teacher and teacher.bytes, "smaller", units.size),
    ]
    if both.final_accuracy:
        after, before = both.final_accuracy, both.teacher_accuracy
        difference = after.value - before.value if before else 0.0
        metric = after.metric
        change = units.score_change(difference, metric) if before else ""
        shown = units.score(before.value, metric) if before else ""
        name = names.title(metric)
        value = units.score(after.value, metric)
        card = Card(name[:1].upper() + name[1:], shown, value, change, difference > -0.01)
        found.insert(0, card)
    if both.final_bench:
        before = both.teacher_bench.p50_us if both.teacher_bench else None
        name = f"Latency, {RUNTIMES.get(both.final_bench.runtime, both.final_bench.runtime)}"
        p50 = both.final_bench.p50_us
        if p50 is not None:
            found.append(_card(name, p50, before, "faster", units.microseconds))
    return found


OPPOSITE = {"fewer": "more", "smaller": "larger", "faster": "slower", "less": "more"}


def _card(name: str, after: float, before: float | None, less: str, show: object) -> Card:
    assert callable(show)
    if before is None:
        return Card(name, "", str(show(after)), "", good=True)
    change = units.ratio(after, before, less, OPPOSITE[less])
    return Card(name, str(show(before)), str(show(after)), change, good=after <= before)


def stage_rows(summary: Summary) -> list[ModelRow]:
    """One model a stage: in the deployed format where the stage was exported, else PyTorch's."""
    wanted = deployed_format(summary)
    models = [of_stage(summary, stage, wanted) for stage in model_stages(summary)]
    return [_row(summary, model) for model in models if model is not None]


def file_rows(summary: Summary) -> list[ModelRow]:
    """Every model of the first seed, by stage."""
    stages = model_stages(summary)
    models = sorted(first_seed(summary), key=lambda model: stages.index(base(model.stage)))
    return [_row(summary, model) for model in models]


def _row(summary: Summary, model: ModelFigures) -> ModelRow:
    teacher = of_stage(summary, TEACHER, model.format)
    both = compare(summary)
    accuracy = accuracy_of(summary, model)
    reference = accuracy_of(summary, teacher) if teacher else None
    is_teacher = base(model.stage) == TEACHER
    bench = bench_of(summary, model)
    there = bench_of(summary, teacher, like=bench) if bench and teacher else None
    compared = None if is_teacher else teacher
    return ModelRow(
        stage=base(model.stage),
        title=title(base(model.stage)),
        kind=f"{FORMATS.get(model.format, model.format)}, {model.precision}",
        path=model.path,
        accuracy=accuracy,
        difference=units.score_difference(accuracy.value - reference.value, accuracy.metric)
        if accuracy and reference and not is_teacher
        else "",
        parameters=_against(
            units.count(model.parameters), model.parameters, compared and compared.parameters
        ),
        macs=_against(units.operations(model.macs), model.macs, compared and compared.macs),
        size=_against(units.size(model.bytes), model.bytes, compared and compared.bytes, "smaller"),
        latency=_latency(bench, None if is_teacher else there),
        final=both is not None and both.final.path == model.path and not is_teacher,
    )


def _against(text: str, value: float, reference: float | None, less: str = "fewer") -> Against:
    if reference is None:
        return Against(text)
    return Against(text, units.ratio(value, reference, less, OPPOSITE[less]))


def _latency(bench: BenchFigures | None, teacher: BenchFigures | None) -> Against:
    p50 = None if bench is None else bench.p50_us
    if p50 is None:
        return Against(units.NONE)
    return _against(units.microseconds(p50), p50, teacher and teacher.p50_us, "faster")


def scale(rows: list[ModelRow]) -> tuple[float, float]:
    """Lower and upper end of the axis on which the rows' intervals are drawn."""
    lows = [row.accuracy.low for row in rows if row.accuracy]
    highs = [row.accuracy.high for row in rows if row.accuracy]
    if not lows:
        return 0.0, 1.0
    room = max(0.005, (max(highs) - min(lows)) * 0.05)
    return min(lows) - room, max(highs) + room
