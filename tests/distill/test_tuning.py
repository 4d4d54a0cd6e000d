"""The search for temperature and weight: its cost, what it keeps, and its place in the plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgekd.config.methods import ATSettings, DKDSettings, KDSettings
from edgekd.config.pipeline import Pipeline
from edgekd.distill.losses import make_objective
from edgekd.distill.tuning import (
    MOST_RUNS,
    SHARE,
    Candidate,
    candidates,
    replaced,
    rounds,
    search,
    shortened,
)
from edgekd.errors import StageError
from edgekd.plan import Node, make_plan
from edgekd.stages.tune import as_setting

BOTH = KDSettings(temperature="auto", weight="auto")


@given(st.sampled_from([4, 5, 20]), st.integers(14, 500))
def test_a_search_stays_within_its_bound(settings, epochs):
    """A quarter of a grid of 20 whole trainings."""
    cost = sum(r.settings * r.epochs for r in rounds(settings, epochs))
    assert cost <= min(MOST_RUNS, SHARE * settings) * epochs <= 5 * epochs
    assert cost >= 0.5 * min(MOST_RUNS, SHARE * settings) * epochs  # and makes use of it


def test_the_rounds_of_twenty():
    assert [(r.settings, r.epochs) for r in rounds(20, 60)] == [(20, 4), (7, 13), (3, 39)]
    assert [r.epochs for r in rounds(20, 2)] == [1, 1, 1]  # never longer than the training


def test_the_grid_of_hintons_method():
    grid = candidates(BOTH)
    assert len(grid) == 20
    assert sorted({c.temperature for c in grid}) == [1, 2, 4, 8, 16]
    assert sorted({c.weight for c in grid}) == [0.1, 0.3, 0.9, 2.7]
    assert [(c.temperature, c.weight) for c in grid if c.default] == [(4, 0.9)]
    assert len(candidates(KDSettings(temperature="auto"))) == 5
    assert {c.temperature for c in candidates(ATSettings(weight="auto"))} == {None}


def landscape(candidate: Candidate) -> float:
    assert candidate.temperature is not None
    assert candidate.weight is not None
    return -abs(np.log2(candidate.temperature) - 1) - abs(np.log(candidate.weight / 0.3))


def test_the_best_is_found_and_seen_longest():
    lengths: dict[tuple[float | None, float | None], int] = {}

    def train(candidate: Candidate, number: int, epochs: int) -> tuple[float, float]:
        key = candidate.temperature, candidate.weight
        lengths[key] = lengths.get(key, 0) + epochs
        return landscape(candidate), 0.0

    best, trials = search(candidates(BOTH), 60, train)
    assert (best.temperature, best.weight) == (2, 0.3)
    assert lengths[2, 0.3] == max(lengths.values()) == 4 + 13 + 39
    assert len(trials) == 20 + 7 + 3
    assert len(lengths) == 20


def test_the_default_stays_until_the_end_and_wins_among_equals():
    seen: list[tuple[int, Candidate]] = []

    def train(candidate: Candidate, number: int, epochs: int) -> tuple[float, float]:
        seen.append((number, candidate))
        worst = candidate.default and number < 2
        return (0.0 if worst else 0.9), 1.0

    best, _ = search(candidates(BOTH), 60, train)
    assert best.default
    assert [c.default for number, c in seen if number == 2].count(True) == 1


def test_the_loss_decides_between_equal_scores():
    def train(candidate: Candidate, number: int, epochs: int) -> tuple[float, float]:
        return 0.9, abs(candidate.temperature - 8.0) if candidate.temperature else 0.0

    best, _ = search(candidates(KDSettings(temperature="auto")), 60, train)
    assert best.temperature == 8


def test_the_numbers_take_the_place_of_auto():
    assert replaced(BOTH, {"temperature": 2, "weight": 0.3}) == KDSettings(
        temperature=2, weight=0.3
    )
    assert replaced(KDSettings(weight="auto"), {"temperature": 2, "weight": 0.3}) == KDSettings(
        weight=0.3
    )
    several = (KDSettings(temperature="auto"), ATSettings(weight=50))
    assert replaced(several, {"temperature": 8}) == (KDSettings(temperature=8), several[1])
    assert as_setting(several[1]) == 'distill.method={"name": "at", "weight": 50.0}'


def test_a_short_training_has_short_warm_ups():
    found = shortened(DKDSettings(warmup_epochs=20), 0.1)
    assert isinstance(found, DKDSettings)
    assert found.warmup_epochs == 2
    early = KDSettings.model_validate({"weight": {"from": 1, "until": 30}})
    assert shortened(early, 0.1).weight.until == pytest.approx(3)
    share = KDSettings.model_validate({"weight": {"from": 1, "until": 0.5}})
    assert shortened(share, 0.1) == share


def plan(**more: object) -> dict[str, Node]:
    raw = {"name": "t", "prune": True, "distill": {"method": BOTH.model_dump()}, **more}
    return {node.name: node for node in make_plan(Pipeline.model_validate(raw), Path())}


def test_the_students_stages_take_what_was_chosen():
    nodes = plan(control=True, seeds=2)
    tune = nodes["tune@0"]
    assert "tune@1" not in nodes  # once for all seeds
    for name in ("distill@0", "distill@1", "prune@0", "prune@1"):
        assert nodes[name].inputs["tune"] is tune
    assert not any("tune" in n.inputs for name, n in nodes.items() if name.startswith("control"))
    names = list(nodes)
    assert names.index("softlabels@0") < names.index("tune@0") < names.index("distill@0")


def test_without_auto_nothing_is_searched():
    assert "tune" not in plan(distill={"method": "kd"})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"finetune": {"method": BOTH.model_dump()}}, "auto is for `distill`"),
        ({"student": {"copy_of": "teacher"}}, "from scratch"),
        ({"softlabels": {"top": 3}}, "no schedule"),
        (
            {"distill": {"method": [BOTH.model_dump(), {"name": "dist", "weight": "auto"}]}},
            "one method of a list",
        ),
        ({"distill": {"method": {"name": "kd", "temperature": "best"}}}, "number"),
    ],
)
def test_auto_where_it_means_nothing(more, message):
    with pytest.raises(ValidationError, match=message):
        plan(**more)


def test_auto_in_a_loop_of_your_own_is_explained():
    import torch

    from edgekd.train.batches import Batch

    objective = make_objective(BOTH)
    y = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(StageError, match="nothing chose it"):
        objective(torch.zeros(2, 3), Batch(None, y, y, torch.zeros(2, 3)), 0)


def test_an_assistant_learns_by_the_default():
    nodes = plan(distill={"method": BOTH.model_dump(), "assistant": "resnet8"})
    (assistant,) = (node for node in nodes.values() if node.kind == "assistant")
    assert assistant.settings.model_dump()["method"] == KDSettings().model_dump()
    assert "tune" not in assistant.inputs
    assert nodes["tune"].inputs["softlabels"] is nodes["distill"].inputs["softlabels"]
