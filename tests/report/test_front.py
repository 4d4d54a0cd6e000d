"""The front and the choice among candidates, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from report_example import example_summary

from edgekd.progress import Progress
from edgekd.report.front import candidate_row, front_section
from edgekd.results import Accuracy, CandidateFigures
from edgekd.search import Repeated, concluded


def student(name: str, score: float, p50: float, size: int, validation: float) -> CandidateFigures:
    accuracy = Accuracy(
        value=score, low=score - 0.02, high=score + 0.02, n=360, runtime="litert", split="test"
    )
    return CandidateFigures(
        candidate=name, fits=True, bytes=size, p50_us=p50, parameters=size, accuracy=accuracy,
        validation=validation, trained_bytes=size, trained_p50_us=p50,
    )  # fmt: skip


HEAVY = CandidateFigures(
    candidate="vit", fits=False, reasons=["90.0 kB, limit 40 kB"], bytes=90_000, p50_us=10.0
)


def test_the_front_by_hand():
    rows = [
        student("small", 0.90, 10, 10_000, 0.91),
        student("large", 0.95, 40, 30_000, 0.94),
        student("slow", 0.94, 50, 35_000, 0.95),  # beaten by large in all, and best on validation
        HEAVY,
    ]
    told = {row.candidate: row for row in concluded(rows)}
    assert [name for name, row in told.items() if row.front] == ["small", "large"]
    assert [name for name, row in told.items() if row.chosen] == ["slow"]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=8
    )
)
def test_nobody_on_the_front_is_beaten_and_everybody_else_is(points):
    rows = [student(f"n{i}", s / 5, t, b, s / 5) for i, (s, t, b) in enumerate(points)]
    concluded(rows)
    for row, (score, time, size) in zip(rows, points, strict=True):
        beaten = any(
            s >= score and t <= time and b <= size and (s, t, b) != (score, time, size)
            for s, t, b in points
        )
        assert row.front is not beaten
    (chosen,) = [row for row in rows if row.chosen]
    assert chosen.validation == max(row.validation or 0 for row in rows)


def test_the_section_has_every_student_and_its_reason():
    assert front_section(example_summary()) is None
    summary = example_summary()
    summary.search = concluded(
        [student("small", 0.9, 10, 10_000, 0.91), student("large", 0.95, 40, 30_000, 0.94), HEAVY]
    )
    section = front_section(summary)
    assert section is not None and section.chosen == "large"
    assert [row.name for row in section.rows] == ["large", "small", "vit"]
    assert section.rows[-1].verdict == "90.0 kB, limit 40 kB" and section.rows[-1].size == "90.0 kB"
    assert len(section.plots) == 2
    for plot in section.plots:
        assert "small" in plot and "large" in plot and "vit" not in plot
    assert candidate_row(summary.search[1]).verdict == "the student of this run"


class Told(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        self.lines.append(f"{name}: {', '.join(stages)}")

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        self.lines.append(f"{stage} {cached}")


def test_what_all_share_is_told_once():
    inner = Told()
    progress = Repeated(inner)
    for _ in range(2):
        progress.run_started("a", ["data", "distill"])
        progress.stage_finished("data", cached=bool(inner.lines[1:]), seconds=1.0)
        progress.stage_finished("distill", cached=True, seconds=1.0)
    assert inner.lines == [
        "a: data, distill", "data False", "distill True", "a: distill", "distill True",
    ]  # fmt: skip
