"""What a run prints: plain lines for logs, a live view for terminals, a table at the end."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from report_example import example_summary
from rich.console import Console

from edgekd.progress import Epoch, Progress
from edgekd.report.live import LiveProgress
from edgekd.report.terminal import PlainProgress, choose, summary_table, text_table


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def console(width: int = 80, **options) -> Console:
    known = {"force_terminal": True, "color_system": None, "legacy_windows": False} | options
    return Console(file=io.StringIO(), width=width, _environ={"TERM": "xterm-256color"}, **known)


def printed(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", of.file.getvalue())


def test_plain_lines():
    out, clock = io.StringIO(), Clock()
    with PlainProgress(out, clock=clock) as progress:
        progress.run_started("digits", ["data", "teacher"])
        progress.stage_finished("data", cached=True, seconds=0.3)
        progress.stage_started("teacher")
        for epoch in range(1, 21):
            clock.now += 1.0
            progress.epoch(Epoch(epoch, 20, 1 / epoch, 0.9, 1.0))
        progress.message("a [bracket] stays")
        progress.stage_finished("teacher", cached=False, seconds=125, note="98.9 % validation")
    assert out.getvalue().splitlines() == [
        "digits: data, teacher",
        "data found finished",
        "teacher ...",
        "  epoch 5/20  loss 0.200  accuracy 90.0 %",
        "  epoch 10/20  loss 0.100  accuracy 90.0 %",
        "  epoch 15/20  loss 0.0667  accuracy 90.0 %",
        "  epoch 20/20  loss 0.0500  accuracy 90.0 %",
        "a [bracket] stays",
        "teacher done in 2 min 05 s: 98.9 % validation",
    ]


def test_plain_steps_are_rare():
    out, clock = io.StringIO(), Clock()
    progress = PlainProgress(out, clock=clock)
    for done in range(1, 101):
        clock.now += 0.125
        progress.step(done, 100, "benchmarks")
    assert out.getvalue().splitlines() == ["  40/100 benchmarks", "  80/100 benchmarks"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_live_view_of_a_working_stage(width):
    clock, screen = Clock(), console(width)
    progress = LiveProgress(screen, clock=clock)
    progress.run_started("digits", ["data", "teacher", "distill", "export"])
    progress.stage_finished("data", cached=True, seconds=0.3, note="1,149 [samples]")
    progress.stage_started("teacher")
    clock.now = 20.0
    progress.epoch(Epoch(1, 40, 2.0, 0.5, 2.0))
    progress.epoch(Epoch(10, 40, 0.123, 0.984, 2.0))
    with screen.capture() as capture:
        screen.print(progress.render())
    seen = capture.get()
    lines = seen.splitlines()
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= 4
    for part in ("teacher", "10/40 epochs", "loss 0.123", "98.4 %", "1 min 00 s left"):
        assert part in seen
    assert "then distill, export" in seen
    assert re.search(r"=\s+data\s+cached\s+1,149 \[samples\]", printed(screen))


def test_time_left_leaves_out_what_a_checkpoint_had():
    clock, screen = Clock(), console()
    progress = LiveProgress(screen, clock=clock)
    progress.stage_started("teacher")
    for epoch in range(31, 36):  # goes on from epoch 30
        clock.now += 3.0
        progress.epoch(Epoch(epoch, 40, 1.0, 0.5, 3.0))
    with screen.capture() as capture:
        screen.print(progress.render())
    assert "15 s left" in capture.get()


def test_finished_stages_stay_as_lines():
    screen = console()
    with LiveProgress(screen) as progress:
        progress.run_started("digits", ["teacher"])
        progress.stage_started("teacher")
        progress.stage_finished("teacher", cached=False, seconds=65, note="98.9 % validation")
    last = printed(screen).strip().splitlines()[-1]
    assert re.fullmatch(r"✓\s+teacher\s+1 min 05 s\s+98.9 % validation\s*", last)


def test_interruption_gives_the_cursor_back():
    screen = console()
    with pytest.raises(KeyboardInterrupt), LiveProgress(screen) as progress:
        progress.stage_started("teacher")
        raise KeyboardInterrupt
    assert isinstance(screen.file, io.StringIO)
    raw = screen.file.getvalue()
    assert "\x1b[?25l" in raw  # the cursor was hidden
    assert raw.rindex("\x1b[?25h") > raw.rindex("\x1b[?25l")


def test_choice_of_view():
    assert isinstance(choose(console()), LiveProgress)
    assert isinstance(choose(console(force_terminal=False)), PlainProgress)
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(choose(dumb), PlainProgress)


def test_silent_progress_is_a_context_too():
    with Progress() as progress:
        assert type(progress) is Progress


@pytest.mark.parametrize("width", [60, 80, 120])
def test_result_table(width):
    screen = console(width)
    screen.print(summary_table(example_summary(), Path("runs/digits/report.html")))
    text = printed(screen)
    assert all(len(line) <= width for line in text.splitlines())
    flat = re.sub(r"\s+", " ", text)
    for part in (
        "272,186 6,106",
        "59× smaller",
        "17× faster",
        "accuracy under shift 79.6 %",
        "calibration error",
        "kept size: 19.2 kB (≤ 40 kB)",
        "MISSED latency p50 on local, 1 thread: 13.9 µs (≤ 12 µs)",
        "report runs/digits/report.html",
    ):
        assert part in flat or width < 80, part


def test_result_table_without_teacher_budget_or_models():
    summary = example_summary()
    summary.models = [m for m in summary.models if m.stage == "distill"]
    summary.bench, summary.budget = [], []
    screen = console()
    screen.print(summary_table(summary))
    assert "8,442" in printed(screen)
    summary.models = []
    nothing = console()
    nothing.print(summary_table(summary))
    assert printed(nothing).strip() == ""


def test_a_teacher_of_another_format_is_called_so():
    summary = example_summary()
    summary.models = [
        m.model_copy(update={"format": "onnx"}) if m.stage == "teacher" else m
        for m in summary.models
        if (m.stage, m.format) != ("teacher", "onnx")
    ]
    screen = console()
    screen.print(summary_table(summary))
    (row,) = [line for line in printed(screen).splitlines() if line.startswith("file")]
    assert re.search(r"^file +[\d.]+ MB ONNX +19.2 kB TFLite +58× smaller", row)


def test_a_name_in_brackets_is_no_markup():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(text_table([("operator", "time"), ("[conv/relu]:0", "1 µs")]))
    assert "[conv/relu]:0" in console.export_text()


def test_names_and_sentences_are_not_cut_off_where_the_terminal_is_narrow():
    console = Console(width=60, record=True, file=io.StringIO())
    told = "with this sentence going on beyond the end of its line"
    console.print(text_table([("name", "what"), ("arm64-emulator", f"a device {told}")], prose=1))
    console.print(text_table([("model", "p50"), ("a-long-name-of-a-file/" * 4, "12.3 µs")]))
    words = console.export_text()
    assert "…" not in words and "arm64-emulator" in words and "12.3 µs" in words
    assert words.split().count("sentence") == words.split().count("beyond") == 1
