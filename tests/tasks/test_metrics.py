"""Metrics against scikit-learn, and the bootstrap against torchmetrics and simulations."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from edgekd.results import MetricFigures
from edgekd.spec import InputSpec, ModelSpec
from edgekd.statistics import wilson_interval
from edgekd.tasks import replicates
from edgekd.tasks.bootstrap import intervals, ranked, weight_chunks
from edgekd.tasks.metrics import judge
from edgekd.tasks.names import TITLES, shown

INPUT = InputSpec(kind="row", shape=(1,), mean=(0.0,), std=(1.0,))


def spec(task: str, width: int) -> ModelSpec:
    labels = tuple(f"label{i}" for i in range(width))
    mean, std = (
        ((10.0, -3.0, 0.5)[:width], (4.0, 0.1, 2.0)[:width]) if task == "regression" else ((), ())
    )
    return ModelSpec(
        name="m", input=INPUT, labels=labels, task=task, target_mean=mean, target_std=std
    )


def judged(task: str, outputs: np.ndarray, y: np.ndarray) -> dict[tuple[str, str], MetricFigures]:
    score, figures = judge(spec(task, outputs.shape[1]), outputs, y, runtime="torch", split="test")
    found = {(row.name, row.target): row for row in figures}
    assert len(found) == len(figures)
    for row in figures:
        assert row.low <= row.value + 1e-12 and row.value - 1e-12 <= row.high, row
        assert row.name in TITLES
    headline = found[score.metric, ""]
    assert (score.value, score.low, score.high) == (headline.value, headline.low, headline.high)
    assert score.n == len(y)
    return found


def values(found: dict[tuple[str, str], MetricFigures]) -> dict[str, float]:
    return {name: row.value for (name, target), row in found.items() if not target}


def test_classes_are_scikit_learns():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 12, 300)
    outputs = rng.normal(size=(300, 12)).astype(np.float32)
    outputs[np.arange(300), y] += 1.5
    answer = outputs.argmax(1)
    found = judged("classification", outputs, y)
    assert values(found) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, answer),
            "macro_f1": sk.f1_score(y, answer, average="macro"),
            "balanced_accuracy": sk.balanced_accuracy_score(y, answer),
            "top5_accuracy": sk.top_k_accuracy_score(y, outputs, k=5),
        },
        abs=1e-6,
    )
    right = int((answer == y).sum())
    assert (found["accuracy", ""].low, found["accuracy", ""].high) == wilson_interval(right, 300)


def test_an_absent_class_has_no_recall_and_few_classes_no_top_five():
    y = np.array([0, 0, 1, 1])
    outputs = np.eye(4, dtype=np.float32)[[0, 2, 1, 1]]
    found = values(judged("classification", outputs, y))
    assert "top5_accuracy" not in found
    assert found["balanced_accuracy"] == sk.balanced_accuracy_score(y, [0, 2, 1, 1]) == 0.75
    expected = sk.f1_score(y, [0, 2, 1, 1], average="macro", labels=[0, 1, 2])
    assert found["macro_f1"] == pytest.approx(expected)


def test_two_classes_are_scikit_learns_also_with_ties_and_large_logits():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 200)
    outputs = np.rint(rng.normal(size=(200, 2)) * 3 + 40 * np.eye(2)[y] * 0.1).astype(np.float32)
    outputs *= 30  # a sigmoid in float32 would make them equal
    margin = outputs[:, 1] - outputs[:, 0]
    assert len(np.unique(margin)) < 40
    answer = outputs.argmax(1)
    assert values(judged("binary", outputs, y)) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, answer),
            "f1": sk.f1_score(y, answer),
            "roc_auc": sk.roc_auc_score(y, margin),
            "average_precision": sk.average_precision_score(y, margin),
        },
        abs=1e-6,
    )


def test_labels_are_scikit_learns():
    rng = np.random.default_rng(2)
    y = (rng.random((250, 5)) < (0.5, 0.1, 0.9, 0.3, 0.02)).astype(np.float32)
    outputs = (rng.normal(size=y.shape) + 2 * y - 1).astype(np.float32)
    answer = outputs > 0
    found = judged("multilabel", outputs, y)
    assert values(found) == pytest.approx(
        {
            "macro_f1": sk.f1_score(y, answer, average="macro"),
            "micro_f1": sk.f1_score(y, answer, average="micro"),
            "macro_roc_auc": sk.roc_auc_score(y, outputs, average="macro"),
            "mean_average_precision": sk.average_precision_score(y, outputs, average="macro"),
            "exact_match": sk.accuracy_score(y, answer),
        },
        abs=1e-6,
    )
    assert found["exact_match", ""].low == wilson_interval(int((answer == y).all(1).sum()), 250)[0]


def test_a_label_without_samples_counts_nothing_in_f1_and_is_left_out_of_rankings():
    rng = np.random.default_rng(3)
    y = np.zeros((60, 3), np.float32)
    y[:, 0], y[::2, 1] = rng.random(60) < 0.5, 1
    outputs = rng.normal(size=y.shape).astype(np.float32)
    outputs[:, 2] = -1
    found = values(judged("multilabel", outputs, y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f1 = sk.f1_score(y, outputs > 0, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(f1)
    assert found["macro_roc_auc"] == pytest.approx(sk.roc_auc_score(y[:, :2], outputs[:, :2]))


def test_numbers_are_scikit_learns_in_raw_units():
    rng = np.random.default_rng(4)
    model = spec("regression", 3)
    y = rng.normal(model.target_mean, model.target_std, (150, 3)).astype(np.float32)
    outputs = ((y - model.target_mean) / model.target_std + rng.normal(size=y.shape)).astype("f4")
    raw = model.raw_targets(outputs)
    found = judged("regression", outputs, y)
    assert values(found) == pytest.approx(
        {
            "r2": sk.r2_score(y, raw),
            "mae": sk.mean_absolute_error(y, raw),
            "rmse": sk.root_mean_squared_error(y, raw),
        },
        rel=1e-5,
    )
    per_target = sk.mean_absolute_error(y, raw, multioutput="raw_values")
    mine = [found["mae", f"label{i}"].value for i in range(3)]
    assert mine == pytest.approx(per_target, rel=1e-5)
    assert found["mae", "label1"].unit == "raw"
    assert found["r2", "label2"].value == pytest.approx(sk.r2_score(y[:, 2], raw[:, 2]), rel=1e-5)
    one = judged("regression", outputs[:, :1], y[:, :1])
    assert set(one) == {("r2", ""), ("mae", ""), ("rmse", "")}
    assert one["mae", ""].value == pytest.approx(per_target[0], rel=1e-5)


def test_a_target_that_does_not_vary_has_no_r2():
    y = np.full((20, 1), 5.0, np.float32)
    score, figures = judge(
        spec("regression", 1), np.zeros((20, 1), np.float32), y, runtime="torch", split="test"
    )
    assert (score.metric, score.value) == ("r2", 0.0)
    assert {row.name for row in figures} == {"mae", "rmse"}


def sample(task: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and targets of a mediocre model."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.normal(size=(n, 2))
        return (0.8 * y + rng.normal(0, 0.6, y.shape)).astype(np.float32), y.astype(np.float32)
    if task == "multilabel":
        y = (rng.random((n, 3)) < (0.5, 0.3, 0.2)).astype(np.float32)
        return (rng.normal(size=y.shape) + 2 * y - 1).astype(np.float32), y
    classes = 2 if task == "binary" else 4
    y = rng.integers(0, classes, n)
    return (rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[y]).astype(np.float32), y


def replicate_of(task: str, outputs: np.ndarray, y: np.ndarray):
    if task == "regression":
        return replicates.of_numbers(outputs, y, ("a", "b"))
    make = {
        "classification": replicates.of_classes,
        "binary": replicates.of_two,
        "multilabel": replicates.of_labels,
    }
    return make[task](outputs, y)


TASKS = ("classification", "binary", "multilabel", "regression")


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(TASKS), st.integers(8, 60), st.integers(0, 10**6))
def test_a_resample_is_what_the_same_samples_would_be(task, n, seed):
    """Weights are counts of samples: the metrics of a resample are those of the repeated rows."""
    outputs, y = sample(task, n, seed)
    (weights,) = weight_chunks(n, 3, seed)
    assert (weights.sum(1) == n).all()
    rows = [np.ones(n), *weights]
    found = replicate_of(task, outputs, y)(np.stack(rows))
    for number, row in enumerate(rows):
        index = np.repeat(np.arange(n), row.astype(int))
        model = spec(task, outputs.shape[1])
        if task == "regression":
            model = model.model_copy(
                update={"target_mean": (0.0, 0.0), "target_std": (1.0, 1.0), "labels": ("a", "b")}
            )
        _, figures = judge(model, outputs[index], y[index], runtime="torch", split="test")
        by_key = {(figure.name, figure.target): figure.value for figure in figures}
        for key, values_of_all in found.items():
            if np.isfinite(values_of_all[number]):
                assert values_of_all[number] == pytest.approx(by_key[key], abs=2e-5), key
            else:
                assert key not in by_key


@settings(max_examples=50, deadline=None)
@given(st.integers(4, 80), st.integers(1, 6), st.integers(0, 10**6))
def test_rankings_are_scikit_learns_with_ties_and_weights(n, steps, seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    positive[:2] = True, False
    scores = rng.integers(0, steps + 1, n).astype(float)
    weights = rng.integers(1, 4, n)
    area, precision = ranked(scores, positive, weights[None].astype(float))
    expected = sk.roc_auc_score(positive, scores, sample_weight=weights)
    assert area[0] == pytest.approx(expected, abs=1e-9)
    expected = sk.average_precision_score(positive, scores, sample_weight=weights)
    assert precision[0] == pytest.approx(expected, abs=1e-9)


def test_rankings_without_one_of_the_classes_are_not_defined():
    area, precision = ranked(np.arange(3.0), np.ones(3, bool), np.ones((1, 3)))
    assert np.isnan(area[0]) and precision[0] == 1
    assert np.isnan(ranked(np.arange(3.0), np.zeros(3, bool), np.ones((1, 3)))[1][0])


@pytest.mark.parametrize(
    ("task", "key"),
    [
        ("classification", ("macro_f1", "")),
        ("binary", ("roc_auc", "")),
        ("multilabel", ("macro_f1", "")),
        ("regression", ("r2", "")),
        ("regression", ("mae", "a")),
    ],
)
def test_95_percent_intervals_hold_the_truth_about_95_times_of_100(task, key):
    """200 test sets of 150 samples: with a coverage of 95 %, fewer than 90 % or more than 99 %
    would come up once in some hundred times; the percentile interval may lack a point or two.
    """
    outputs, y = sample(task, 200_000, 1)
    truth = replicate_of(task, outputs, y)(np.ones((1, len(y))))[key][0]
    held = 0
    for seed in range(200):
        ends = intervals(replicate_of(task, *sample(task, 150, 100 + seed)), 150, resamples=250)
        held += ends[key][0] <= truth <= ends[key][1]
    assert 0.89 <= held / 200 <= 0.99


def test_intervals_are_seeded_narrow_with_samples_and_do_not_depend_on_chunks(monkeypatch):
    outputs, y = sample("regression", 400, 0)
    replicate = replicate_of("regression", outputs, y)
    ends = intervals(replicate, 400)
    assert ends == intervals(replicate, 400)
    assert ends != intervals(replicate, 400, seed=1)
    few = intervals(replicate_of("regression", outputs[:50], y[:50]), 50)
    assert few["r2", ""][1] - few["r2", ""][0] > 1.5 * (ends["r2", ""][1] - ends["r2", ""][0])
    monkeypatch.setattr("edgekd.tasks.bootstrap.MOST_NUMBERS", 7 * 400)
    chunked = intervals(replicate, 400)
    assert chunked["r2", ""] == pytest.approx(ends["r2", ""], abs=0.02)


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [(0.9861, "accuracy", "98.6 %"), (0.9861, "r2", "0.986"), (-1.2, "r2", "-1.200")],
)
def test_scores_are_written_as_people_do(value, metric, text):
    assert shown(value, metric) == text


def test_intervals_of_many_classes_take_little_memory() -> None:
    """A dense matrix of the cells of a confusion matrix and the classes would take 40 MB here."""
    rng = np.random.default_rng(0)
    y, answer = rng.integers(0, 500, 4000), rng.integers(0, 500, 4000)
    outputs = np.zeros((4000, 500), np.float32)
    outputs[np.arange(4000), answer] = 1
    tracemalloc.start()
    replicate = replicates.of_classes(outputs, y)
    found = replicate(np.ones((1, 4000)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    recalls = [np.mean(answer[y == label] == label) for label in np.unique(y)]
    assert found["balanced_accuracy", ""][0] == pytest.approx(np.mean(recalls))
    assert peak < 4e6
