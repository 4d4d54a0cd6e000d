"""A temperature that is chosen, a control arm, retention and advice, on the digits for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import edgekd

from edgekd.results import Summary

pytestmark = pytest.mark.slow

PIPELINE = """\
name: auto
control: true
data: {source: digits, augment: {shift: 1, views: 2}}
teacher: {model: resnet8, train: {epochs: 6, batch_size: 64, learning_rate: 8.0e-3}}
student: {model: {name: resnet8, width: 0.5}}
distill: {method: {name: kd, temperature: auto}, train: {epochs: 12, learning_rate: 8.0e-3}}
quantize: ptq
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the pipeline was run up to the comparison."""
    cwd = tmp_path_factory.mktemp("auto")
    (cwd / "auto.yaml").write_text(PIPELINE)
    done = edgekd("run", "auto.yaml", "--until", "compare", cwd=cwd)
    for part in ("chosen  --set 'distill.method=", "limit ", "try ", "int8:"):
        assert part in done.stdout, part
    return cwd


def read(folder: Path) -> Summary:
    return Summary.model_validate_json((folder / "runs/auto/summary.json").read_text())


def test_few_short_trainings_chose_the_temperature(folder):
    trials = read(folder).tuning
    assert [t.round for t in trials] == [0] * 5 + [1] * 2
    assert sum(t.epochs for t in trials) <= 2.5 * 12
    (chosen,) = [t for t in trials if t.chosen]
    last = [t for t in trials if t.round == 1]
    assert chosen.score == max(t.score for t in last)
    assert any(t.default for t in last)


def test_what_was_chosen_can_be_pasted_and_gives_the_same_student(folder):
    """Bit for bit: the search leaves nothing behind but its numbers."""
    before = read(folder)
    setting = next(t.setting for t in before.tuning if t.chosen)
    edgekd("run", "auto.yaml", "--until", "distill", "--set", setting, cwd=folder)
    after = read(folder)
    weights = [
        (folder / "runs/auto" / model.path).read_bytes()
        for summary in (before, after)
        for model in summary.models
        if model.stage == "distill"
    ]
    assert weights[0] == weights[1]
    assert after.tuning == []


def test_it_is_searched_once(folder):
    edgekd("run", "auto.yaml", "--until", "compare", cwd=folder)
    assert all(stage.cached for stage in read(folder).stages)


def test_the_gain_and_what_was_kept_are_stated(folder):
    edgekd("run", "auto.yaml", "--until", "compare", cwd=folder)
    summary = read(folder)
    assert {(g.stage, g.precision) for g in summary.gain} >= {
        ("distill", "float32"), ("quantize", "int8"),
    }  # fmt: skip
    for row in summary.gain:
        assert row.low <= row.gain <= row.high
        assert row.gain == pytest.approx(row.student - row.control)
    accuracies = {m.stage: m.accuracy.value for m in summary.models if m.accuracy is not None}
    for kept in summary.retention:
        if kept.precision == "float32" and kept.stage in ("teacher", "distill", "control-distill"):
            assert kept.score.value == pytest.approx(accuracies[kept.stage])
    assert summary.advice
    page = (folder / "runs/auto/report.html").read_text()
    for section in ("tuning", "retention", "gain", "advice"):
        assert f'id="{section}"' in page


def test_the_pasted_setting_is_json(folder):
    setting = next(t.setting for t in read(folder).tuning if t.chosen)
    assert json.loads(setting.partition("=")[2])["name"] == "kd"
