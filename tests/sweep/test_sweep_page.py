"""The page of a sweep, and its lines in the terminal."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console

sys.path.append(str(Path(__file__).resolve().parent))
from sweep_example import example

from edgekd.report.settings import label, short_names
from edgekd.report.sweep_page import render, write_page
from edgekd.report.sweep_terminal import conclusion, front_table, trial_line


def test_the_page_has_every_trial_and_marks_those_that_ended_early(tmp_path: Path) -> None:
    figures = example()
    page = render(figures)
    trials = page.partition('id="trials"')[2]
    assert len(re.findall(r'<th scope="row">\d+</th>', trials)) == len(figures.trials)
    stopped = [t for t in figures.trials if t.state == "stopped"]
    assert len(stopped) > 3
    assert page.count("ended early after") == len(stopped)
    assert f"ended early ({len(stopped)})" in page  # the plot's legend
    assert page.count('class="final"') >= len([p for p in figures.front if p.front])
    write_page(figures, tmp_path / "one.html")
    write_page(example(), tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_the_page_needs_nothing_else() -> None:
    page = render(example())
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert re.findall(r'href="(front/\d+\.yaml)"', page)


def test_names_of_values_are_escaped() -> None:
    figures = example(8)
    setting = {**figures.trials[0].setting, "distill.method": "<b>kd</b>"}
    changed = [t.model_copy(update={"setting": setting}) for t in figures.trials]
    page = render(figures.model_copy(update={"trials": changed}))
    assert "<b>kd</b>" not in page
    assert "&lt;b&gt;kd&lt;/b&gt;" in page


def test_a_sweep_of_the_accuracy_alone_has_a_page() -> None:
    figures = example()
    alone = figures.model_copy(update={"objectives": figures.objectives[:1], "importance": {}})
    page = render(alone)
    assert 'id="importance"' not in page
    assert "one point" in page or "points on the front" in page


def test_fields_have_the_shortest_names_that_tell_them_apart() -> None:
    fields = ["distill.train.epochs", "quantize.train.epochs", "student.model.width"]
    assert short_names(fields) == {
        "distill.train.epochs": "distill.train.epochs",
        "quantize.train.epochs": "quantize.train.epochs",
        "student.model.width": "width",
    }
    assert label({"a.width": 0.5, "b.method": {"name": "kd"}, "c.rate": 0.000123456}) == (
        'width 0.5, method {"name":"kd"}, rate 0.0001235'
    )


def test_lines_in_the_terminal() -> None:
    figures = example()
    metrics = {o.name: o.metric for o in figures.objectives}
    stopped = next(t for t in figures.trials if t.state == "stopped")
    line = trial_line(stopped, 7, 40, metrics)
    assert line.startswith("7/40  width ")
    assert f"ended early after {len(stopped.curve)} of 30 epochs" in line
    out = next(t for t in figures.trials if t.state == "out")
    assert trial_line(out, 8, 40, metrics).endswith("not trained: 41.0 kB, limit 40 kB")
    pruned = out.model_copy(update={"curve": [0.5]})
    assert trial_line(pruned, 8, 40, metrics).endswith("once pruned: 41.0 kB, limit 40 kB")
    more = figures.model_copy(update={"trials": [*figures.trials, pruned]})
    assert "1 over a limit once pruned" in conclusion(more)[0]
    text = io.StringIO()
    Console(file=text, width=140).print(front_table(figures))
    assert text.getvalue().count("\n") >= len(figures.front) + 2
    assert "not with all seeds" in text.getvalue()
    narrow = io.StringIO()
    Console(file=narrow, width=80).print(front_table(figures))
    assert "…" not in narrow.getvalue() and "learning_rate" in narrow.getvalue()
    assert conclusion(figures)[0].startswith("40 trials: ")
