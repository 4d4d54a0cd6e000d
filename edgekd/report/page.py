"""The page of a run: one HTML file that needs nothing else, on a phone, a desk or paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.report import (
    advice,
    confusion,
    diagnosis,
    figures,
    front,
    gains,
    profile,
    quality,
    retention,
    tables,
    tuning,
)
from edgekd.report.details import Details
from edgekd.report.environment import environment, style_sheet
from edgekd.report.metric_rows import metric_table
from edgekd.results import Summary
from edgekd.store import write_atomic
from edgekd.tasks import names

TEMPLATE = "template.html.j2"


def write_report(summary: Summary, details: Details, path: Path) -> None:
    """Writes the page of a run to `path`, atomically. The same input gives the same bytes.

    Args:
        summary: the run's figures.
        details: curves, confusions and facts that only the page shows.
        path: the .html file.
    """
    write_atomic(path, render(summary, details))


def render(summary: Summary, details: Details) -> str:
    """The page as HTML text."""
    return (
        environment()
        .get_template(TEMPLATE)
        .render(style=style_sheet(), **context(summary, details))
    )


def context(summary: Summary, details: Details) -> dict[str, Any]:
    """Everything that the template shows."""
    import yaml

    stages = tables.stage_rows(summary)
    both = figures.compare(summary)
    teacher, student = details.confusion.get("teacher"), details.confusion.get("student")
    lost: list[confusion.Recall] | None = None
    if teacher is not None and student is not None:
        lost = confusion.lost_most(teacher, student, details.labels)
    metric = figures.metric_of(summary)
    tuned = tuning.tuning_section(summary)
    return {
        "summary": summary,
        "details": details,
        "headline": figures.headline(summary),
        "cards": tables.cards(summary),
        "missed": [budget.name for budget in summary.budget if not budget.ok],
        "relation": figures.relation,
        "stages": stages,
        "files": tables.file_rows(summary),
        "scale": tables.scale(stages),
        "final": both.final if both else None,
        "final_bench": both.final_bench if both else None,
        "curves": _curves(details, metric),
        "parts": _parts(details),
        "trade_offs": _trade_offs(summary),
        "confusions": {
            name: confusion.draw(matrix, details.labels)
            for name, matrix in (("Teacher", teacher), ("Student", student))
            if matrix is not None
        },
        "lost": lost,
        "teachers": [row for row in summary.teachers if row.seed == summary.seed],
        "metric": metric,
        "metric_title": names.title(metric),
        "metrics": metric_table(summary),
        "label_rows": _label_rows(details),
        "scatters": _scatters(details),
        "advice": [(row, advice.numbers(row)) for row in summary.advice],
        "tuning": tuned,
        "diagnosis": diagnosis.diagnosis_section(summary),
        "tuning_sentence": tuning.sentence(tuned) if tuned else "",
        "retention": retention.retention_section(summary, details.labels),
        "gain_sentences": [gains.sentence(row) for row in gains.told(summary)],
        "gains": gains.gain_section(summary),
        "front": front.front_section(summary),
        "quality": quality.quality_section(summary),
        "quality_name": quality.name_of,
        "quality_colour": quality.colour_name,
        "bench": _bench(summary),
        "profiles": profile.profile_section(summary),
        "runtimes": figures.RUNTIMES,
        "warnings": all_warnings(summary, details),
        "settings": yaml.safe_dump(summary.settings, sort_keys=False, allow_unicode=True),
    }


def all_warnings(summary: Summary, details: Details) -> list[tuple[str, str]]:
    """Every warning with where it comes from; a text that several benchmarks give stands once."""
    found = [("", text) for text in details.warnings]
    found += [(figures.title(s.name), text) for s in summary.stages for text in s.warnings]
    found += [(f"Bench on {b.device}", text) for b in summary.bench for text in b.warnings]
    return list(dict.fromkeys(found))


def _curves(details: Details, metric: str) -> list[Any]:
    from edgekd.report.plots import training_curves

    return training_curves(details.histories, metric)


def _parts(details: Details) -> list[Any]:
    from edgekd.report.parts import loss_parts

    return loss_parts(details.histories)


def _label_rows(details: Details) -> list[Any]:
    from edgekd.report.answers import label_rows

    if details.task != "multilabel" or details.targets is None or "student" not in details.answers:
        return []
    return label_rows(details.answers, details.targets, details.labels)


def _scatters(details: Details) -> list[Any]:
    from edgekd.report.answers import scatters

    if details.task != "regression" or details.targets is None:
        return []
    return scatters(details.answers, details.targets, details.labels)


def _bench(summary: Summary) -> list[dict[str, Any]]:
    """Measurements by device, each with the longest of its bars."""
    devices: dict[str, list[Any]] = {}
    for bench in summary.bench:
        devices.setdefault(bench.device, []).append(bench)
    return [
        {
            "device": device,
            "rows": rows,
            "longest": max(
                (row.latency_us.p99 or row.latency_us.p50 for row in rows if row.latency_us),
                default=1.0,
            ),
        }
        for device, rows in devices.items()
    ]


def _trade_offs(summary: Summary) -> list[Mapping[str, Any]]:
    """Plots of accuracy against latency (one a device) and against size."""
    from edgekd.report.plots import Point, trade_off

    models = [(m, figures.accuracy_of(summary, m)) for m in figures.first_seed(summary)]
    exported = [(m, a) for m, a in models if m.format != "torch"]
    by_path = {model.path: (model, accuracy) for model, accuracy in exported}
    plots = []
    score = names.title(figures.metric_of(summary))
    score = score[:1].upper() + score[1:]
    timed = [bench for bench in summary.bench if bench.latency_us is not None]
    for index, device in enumerate(dict.fromkeys(bench.device for bench in timed)):
        there = [bench for bench in timed if bench.device == device]
        threads = min((bench.threads for bench in there if bench.threads), default=0)
        points = []
        for bench in there:
            model, accuracy = by_path.get(bench.model, (None, None))
            accuracy = bench.accuracy or accuracy
            p50 = bench.p50_us
            if bench.threads != threads or model is None or accuracy is None or p50 is None:
                continue
            kind = figures.RUNTIMES.get(bench.runtime, bench.runtime)
            points.append(Point(model.stage, kind, p50, accuracy, model.parameters))
        if points:
            word = "thread" if threads == 1 else "threads"
            cost = f"median latency on {device}, {threads} {word}"
            svg = trade_off(points, f"latency-{index}", cost, "us")
            plots.append({"title": f"{score} against latency on {device}", "svg": svg})
    points = [
        Point(m.stage, figures.FORMATS.get(m.format, m.format), m.bytes, a, m.parameters)
        for m, a in exported or models
        if a is not None and m.bytes > 0
    ]
    if points:
        svg = trade_off(points, "size", "size of the file", "bytes")
        plots.append({"title": f"{score} against size", "svg": svg})
    return plots
