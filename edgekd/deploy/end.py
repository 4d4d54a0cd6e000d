"""What the end costs, judged by what this very run has measured: files, proofs, figures, report."""

from __future__ import annotations

import os
from dataclasses import dataclass

from edgekd.bench.rounds import thread_counts
from edgekd.config.pipeline import RUNTIME_OF, Pipeline
from edgekd.propose.measure import Measured

CAPTURE, A_FILE = 0.5, 0.45
"""A candidate's export is a capture for the quantizer, a calibration and a file. Shares of its
seconds that quantizing the student takes again, and each further file with its parity."""
REPORTING = 4
"""Summary and report, in processes of a measurement."""
SHIFTS = 16
"""About how often the quality stage asks each file about a sample."""
FLOAT = 3.0
"""A float32 answer, in int8 ones."""
SPARE = 0.25
"""Share on top: nothing looks at the clock any more once the end has begun."""


@dataclass(frozen=True)
class Seen:
    """What is known of this machine and these networks."""

    tests: int
    """Test samples."""
    teacher_forward: float
    """Measured seconds that the teacher takes for a sample."""
    exports: tuple[float, ...]
    """Measured seconds of each export so far."""


def end_seconds(pipeline: Pipeline, student: Measured, seen: Seen) -> float:
    """Seconds from the trained student to the report.

    Args:
        pipeline: its export, bench and quality say how much is made.
        student: its own export and the start of a measuring process were measured.
    """
    formats, precisions = pipeline.export.formats, pipeline.export.precisions
    given = pipeline.teacher.onnx is not None
    student_files = len(formats) * len(precisions)
    teacher_files = 1 if given else len(formats)
    exporting = (CAPTURE + A_FILE * student_files) * student.export_seconds
    if not given:
        slowest = max((*seen.exports, student.export_seconds))
        exporting += A_FILE * teacher_files * slowest
    runs = [RUNTIME_OF[form] in pipeline.bench.runtimes for form in formats]
    measured_files = sum(runs) * len(precisions) + (1 if given else sum(runs))
    threads = len(thread_counts(pipeline.bench, os.cpu_count() or 1))
    devices = len(pipeline.bench.devices)
    measured = measured_files * threads * devices * pipeline.bench.processes
    processes = measured + REPORTING
    answer = student.p50 * 1e-6 * (1 + FLOAT)
    answering = devices * (len(formats) * answer + teacher_files * seen.teacher_forward)
    return (1 + SPARE) * (
        exporting
        + processes * student.bench_seconds
        + seen.tests * answering
        + _quality(pipeline, answer, student.bench_seconds, seen)
    )


def _quality(pipeline: Pipeline, answer: float, start: float, seen: Seen) -> float:
    quality = pipeline.quality
    if quality is None:
        return 0.0
    asked = SHIFTS * min(seen.tests, quality.samples) * (answer + seen.teacher_forward)
    return min(quality.seconds, asked) + start
