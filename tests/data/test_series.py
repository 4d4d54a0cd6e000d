"""The `series` source: windows, their labels, splits without leaks, what is wrong with a file."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edgekd.config.data import SeriesData
from edgekd.config.load import load_pipeline
from edgekd.data import vibration
from edgekd.data.inspect import inspect
from edgekd.data.series import window_targets
from edgekd.data.series_signal import starts_of, whole_windows
from edgekd.data.sources import load_source, source_fingerprint
from edgekd.data.table_file import read_table
from edgekd.data.targets import Targets
from edgekd.errors import DataError
from edgekd.runtimes.inputs import read_samples
from edgekd.starter import write_starter

NAMES = ["step", "x", "y", "state", "who"]


def rows(n: int = 1200, people: int = 6) -> list[list[str]]:
    """`step` numbers the rows, so that a window tells where it is from; states last 50 steps."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=n)
    return [
        [
            str(i),
            f"{noise[i]:.4f}",
            f"{10 + 3 * (i // 50 % 2)}",
            "off" if i // 50 % 2 else "on",
            f"p{i * people // n}",
        ]
        for i in range(n)
    ]


def write(folder: Path, table: list[list[str]], name: str = "signal.csv") -> None:
    (folder / name).write_text("\n".join(",".join(row) for row in [NAMES, *table]))


def load(folder: Path, table: list[list[str]] | None = None, **settings):
    write(folder, rows() if table is None else table)
    settings = {"path": "signal.csv", "label": "state", "drop": "who", "window": 20, **settings}
    return load_source(SeriesData(**settings), folder)


def steps(data) -> dict[str, list[set[int]]]:
    """The steps of every window of every part, by the channel that numbers them."""
    return {
        part: [set(window[0].astype(int).tolist()) for window in split.x]
        for part, split in data.splits.items()
    }


def test_windows_are_stretches_of_the_signal(tmp_path):
    data = load(tmp_path)
    assert data.spec.kind == "series"
    assert data.spec.shape == (3, 20)
    assert data.spec.columns == ("step", "x", "y")
    assert (data.task, data.labels) == ("binary", ("off", "on"))
    table = np.array(rows())
    for split in data.splits.values():
        assert split.x.dtype == np.float32
        for window, label in zip(split.x, split.y, strict=True):
            first = int(window[0, 0])
            expected = table[first : first + 20, :3].astype(np.float32).T
            np.testing.assert_array_equal(window, expected)
            states = table[first : first + 20, 3].tolist()
            most = Counter(states).most_common()
            if len(most) == 1 or most[0][1] > most[1][1]:
                assert data.labels[label] == most[0][0]
            else:
                assert data.labels[label] == states[-1]
    seen = data.spec.normalise(data.train.x)
    np.testing.assert_allclose(seen.mean((0, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(seen.std((0, 2)), 1, atol=1e-4)
    assert any("'step' never falls" in warning for warning in data.warnings)


@pytest.mark.parametrize("stride", [1, 7, 20])
def test_no_step_is_in_two_parts(tmp_path, stride):
    data = load(tmp_path, stride=stride)
    parts = {name: set().union(*windows) for name, windows in steps(data).items()}
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["validation"]
    assert not parts["validation"] & parts["test"]
    everything = sum(map(len, parts.values()))
    assert 0.08 < len(parts["test"]) / everything < 0.25
    assert everything > 0.7 * 1200
    for split in data.splits.values():
        assert set(split.y.tolist()) == {0, 1}


def test_groups_stay_on_one_side_and_no_window_holds_two(tmp_path):
    table = rows()
    who = np.array([row[4] for row in table])
    data = load(tmp_path, table, drop=(), group="who", stride=3)
    assert data.spec.columns == ("step", "x", "y")
    where: dict[str, set[str]] = {}
    for part, windows in steps(data).items():
        for window in windows:
            people = set(who[sorted(window)].tolist())
            assert len(people) == 1
            where.setdefault(people.pop(), set()).add(part)
    assert len(where) == 6
    assert {len(parts) for parts in where.values()} == {1}
    assert set.union(*where.values()) == {"train", "validation", "test"}


def test_splits_are_seeded_and_a_second_file_is_the_test_set(tmp_path):
    data = load(tmp_path)
    assert load(tmp_path).fingerprint == data.fingerprint
    assert load(tmp_path, split_seed=1).fingerprint != data.fingerprint
    write(tmp_path, rows(200), "later.csv")
    data = load(tmp_path, test_file="later.csv", stride=20)
    assert len(data.test) == 10
    assert len(data.train) > 30
    chosen = SeriesData(path=Path("signal.csv"), label=("state",), test_file=Path("later.csv"))
    before = source_fingerprint(chosen, tmp_path)
    write(tmp_path, rows(201), "later.csv")
    assert source_fingerprint(chosen, tmp_path) != before


def test_channels_can_be_chosen_in_their_order(tmp_path):
    data = load(tmp_path, channels=("y", "step"))
    assert data.spec.columns == ("y", "step")
    assert np.isin(data.train.x[:, 0], (10, 13)).all()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=60),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_windows_never_cross_a_border(alike, window, stride):
    numbers = np.array(alike)
    starts = starts_of(numbers, window, stride).tolist()
    expected, first = [], 0
    for end in range(1, len(alike) + 1):
        if end == len(alike) or alike[end] != alike[first]:
            expected += [s for s in range(first, end, stride) if s + window <= end]
            first = end
    assert starts == expected
    assert all(len(set(alike[s : s + window])) == 1 for s in starts)


def test_labels_of_windows():
    starts = np.array([0, 2, 4])
    chosen = SeriesData(builtin="vibration", window=4)
    last = SeriesData(builtin="vibration", window=4, label_of="last")
    y = np.array([0, 0, 1, 1, 2, 2, 2, 0])
    classes = Targets("classification", ("a", "b", "c"), {})
    assert window_targets(y, classes, starts, chosen).tolist() == [1, 2, 2]
    assert window_targets(y, classes, starts, last).tolist() == [1, 2, 0]
    regression = Targets("regression", ("t",), {})
    values = np.arange(8, dtype=np.float32)[:, None]
    assert window_targets(values, regression, starts, chosen).tolist() == [[1.5], [3.5], [5.5]]
    several = Targets("multilabel", ("a", "b"), {})
    both = np.stack([y == 1, y == 2], 1).astype(np.float32)
    assert window_targets(both, several, starts, chosen).tolist() == [[1, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_other_tasks(tmp_path, task):
    table = rows()
    for i, row in enumerate(table):
        row[2], row[3] = (f"{i % 7 + 0.5}", f"{i / 9}") if task == "regression" else "01"
        if task == "multilabel":
            row[2], row[3] = str(i // 50 % 2), str(i // 75 % 2)
    label = "state" if task == "regression" else ("y", "state")
    data = load(tmp_path, table, label=label)
    assert data.task == task
    assert data.train.y.dtype == np.float32
    if task == "regression":
        first = data.test.x[:, 0].mean(1)
        np.testing.assert_allclose(data.test.y[:, 0], first / 9, rtol=1e-4)


def changed(row: int, column: int, value: str) -> list[list[str]]:
    table = rows()
    table[row][column] = value
    return table


@pytest.mark.parametrize(
    ("table", "changes", "told"),
    [
        (changed(7, 1, "much"), {}, r"'much' is no number.*signal.csv, line 9, column x"),
        (changed(7, 1, "inf"), {}, r"'inf' is no number.*line 9, column x"),
        (changed(5, 2, ""), {}, r"'y' has no value.*signal.csv, line 7, column y"),
        (changed(5, 3, ""), {}, r"no label.*line 7, column state"),
        (rows(), {"label": "sold"}, "no column 'sold'.*signal.csv.*step, x"),
        (rows(), {"channels": ("x", "z")}, "no column 'z'"),
        (rows(), {"drop": ("who", "nobody")}, "no column 'nobody'"),
        (rows(), {"drop": ("who", "step", "x", "y")}, "No column is left"),
        (rows(), {"window": 1201}, "longer than the signal: the signal has 1200.*data.window"),
        (rows(), {"window": 201, "group": "who", "drop": ()}, "stretch of one group has 200"),
        (rows(), {"window": 60}, "too short.*needs 1440"),
        ([[*r[:3], "on", r[4]] for r in rows()], {}, "one class"),
        ([[*r[:4], "g"] for r in rows()], {"group": "who", "drop": ()}, "too few groups"),
        (changed(9, 4, ""), {"group": "who", "drop": ()}, "no group.*line 11"),
        (changed(9, 3, "rare"), {}, "No training window is of class 'rare'"),
    ],
)
def test_bad_signals_are_told_with_their_place(tmp_path, table, changes, told):
    with pytest.raises(DataError) as caught:
        load(tmp_path, table, **changes)
    text = f"{caught.value.what} {caught.value.where}"
    assert re.search(told, text), text


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "either `path` or `builtin`"),
        ({"path": "a.csv"}, "`label` names"),
        ({"path": "a.npz", "test_file": "b.csv"}, "belongs to a .csv"),
        ({"builtin": "vibration", "stride": 200}, "above `window`"),
    ],
)
def test_settings_that_contradict_each_other(fields, told):
    with pytest.raises(ValidationError, match=told):
        SeriesData(**fields)


def arrays(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 2, 16)).astype("f4"), rng.integers(0, 3, n)


@pytest.mark.parametrize("layout", ["NCT", "NTC"])
def test_windows_of_an_npz_file(tmp_path, layout):
    x, y = arrays()
    people = np.arange(90) // 9
    saved = x if layout == "NCT" else x.transpose(0, 2, 1)
    np.savez(tmp_path / "w.npz", x=saved, y=y, who=people)
    chosen = {"path": "w.npz", "layout": layout}
    data = load_source(SeriesData(**chosen), tmp_path)
    assert (data.spec.kind, data.spec.shape, data.spec.columns) == ("series", (2, 16), ())
    together = np.concatenate([split.x for split in data.splits.values()])
    order = [np.lexsort(array[:, 0, :2].T) for array in (together, x)]
    np.testing.assert_array_equal(together[order[0]], x[order[1]])
    data = load_source(SeriesData(**chosen, group="who"), tmp_path)
    found = [
        {int(people[(x == window).all((1, 2))][0]) for window in split.x}
        for split in data.splits.values()
    ]
    assert sum(map(len, found)) == len(set.union(*found)) == 10


def test_bad_npz_files_of_windows_are_told(tmp_path):
    x, y = arrays()
    np.savez(tmp_path / "flat.npz", x=x[:, 0], y=y)
    with pytest.raises(DataError, match=r"\(N, C, T\).*these are \(90, 16\)"):
        load_source(SeriesData(path=Path("flat.npz")), tmp_path)
    gap = x.copy()
    gap[4, 1, 3] = np.nan
    np.savez(tmp_path / "gap.npz", x=gap, y=y)
    with pytest.raises(DataError, match="NaN") as caught:
        load_source(SeriesData(path=Path("gap.npz")), tmp_path)
    assert "gap.npz, array x, sample 4" in str(caught.value.where)
    np.savez(tmp_path / "w.npz", x=x, y=y, who=np.zeros(3))
    for group, told in (("whom", "no array 'whom'"), ("who", "one number or text a training")):
        with pytest.raises(DataError, match=told):
            load_source(SeriesData(path=Path("w.npz"), group=group), tmp_path)
    np.savez(tmp_path / "one.npz", x=x, y=np.zeros(90, int))
    with pytest.raises(DataError, match="one class"):
        load_source(SeriesData(path=Path("one.npz")), tmp_path)


def test_windows_that_overlap_are_told(tmp_path):
    signal = np.random.default_rng(0).normal(size=(2, 640)).astype("f4")
    x = np.stack([signal[:, start : start + 16] for start in range(0, 620, 8)])
    y = np.arange(len(x)) % 2

    def warned(**arrays: np.ndarray) -> bool:
        np.savez(tmp_path / "w.npz", **arrays)
        chosen = SeriesData(path=Path("w.npz"), group="who" if "who" in arrays else None)
        warnings = load_source(chosen, tmp_path).warnings
        return any("neighbouring windows share steps" in warning for warning in warnings)

    assert warned(x=x, y=y)
    assert not warned(x=x[::2], y=y[: len(x[::2])])
    assert not warned(x=x, y=y, who=np.arange(len(x)) // 10)


def test_windows_of_a_new_recording(tmp_path):
    write(tmp_path, rows(70))
    table = read_table(tmp_path / "signal.csv")
    found = whole_windows(table, ("y", "step"), 32)
    assert found.shape == (2, 2, 32)
    np.testing.assert_array_equal(found[:, 1].ravel(), np.arange(64))
    with pytest.raises(DataError, match="looks at 71 steps at once, and here are 70"):
        whole_windows(table, ("y",), 71)


def test_the_builtin_signal_is_what_it_says(tmp_path):
    made, again = vibration.signal(), vibration.signal()
    assert np.array_equal(made.values, again.values)
    assert made.values.shape == (64 * 4 * 640, 3)
    data = load_source(SeriesData(builtin="vibration"), tmp_path)
    assert set(data.labels) == set(vibration.STATES)
    assert data.warnings == ()
    for split in data.splits.values():
        assert np.bincount(split.y, minlength=4).min() > 0.9 * len(split) / 4
    # Imbalance has its line at the shaft's speed, misalignment at twice that, from all machines.
    states = made.targets[:, 0]
    power = {
        state: np.mean(
            [
                np.abs(np.fft.rfft(part[:, 0])) ** 2
                for part in np.split(made.values[states == state], 64)
            ],
            axis=0,
        )
        for state in vibration.STATES
    }
    hertz = np.fft.rfftfreq(640, 1 / vibration.RATE)

    def band(state: str, low: float, high: float) -> float:
        return float(power[state][(hertz >= low) & (hertz < high)].sum())

    assert band("imbalance", 15, 35) > 3 * band("normal", 15, 35)
    assert band("misalignment", 36, 66) > 5 * band("normal", 36, 66)
    assert band("bearing", 150, 400) > 1.5 * band("normal", 150, 400)


def test_columns_are_told_apart_without_being_named(tmp_path):
    write(tmp_path, [[*row[:4], row[4]] for row in rows()])
    lines = "\n".join(inspect(tmp_path / "signal.csv", label="state", window=20))
    assert "1,200 steps, 2 channels, windows of 20" in lines
    for name, kind in (("x", "channel"), ("y", "channel"), ("who", "group"), ("step", "left out")):
        assert re.search(rf"^{name} +{kind} ", lines, re.MULTILINE), name
    counts = re.search(r"^all +([\d,]+) +([\d,]+) +([\d,]+)", lines, re.MULTILINE)
    assert counts is not None
    # Six people of 200 steps each: 19 windows of 20 in strides of 10.
    assert [int(count) for count in counts.groups()] == [4 * 19, 19, 19]
    with pytest.raises(DataError, match="a row a step"):
        list(inspect(tmp_path / "w.npz", window=20))


def test_init_writes_what_it_found(tmp_path, monkeypatch):
    write(tmp_path, rows())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="too short"):
        write_starter(tmp_path / "mine.yaml", Path("signal.csv"), 300)
    assert not (tmp_path / "mine.yaml").exists()
    table = [row[:4] for row in rows()]
    (tmp_path / "b.csv").write_text("\n".join(",".join(r) for r in [NAMES[:4], *table]))
    write_starter(tmp_path / "mine.yaml", Path("b.csv"), 20)
    written = load_pipeline(tmp_path / "mine.yaml")[0].data
    assert isinstance(written, SeriesData)
    assert (written.label, written.drop, written.group) == (("state",), ("step",), None)
    assert load_source(written, tmp_path).spec.inputs[0].columns == ("x", "y")


def test_a_models_own_channels_are_found_in_a_new_table(tmp_path):
    data = load(tmp_path, channels=("y", "x"))
    shuffled = [[row[1], row[2], row[0], *row[3:]] for row in rows(50)]
    text = "\n".join(",".join(row) for row in [["x", "y", "step", "state", "who"], *shuffled])
    (tmp_path / "new.csv").write_text(text)
    samples = read_samples(tmp_path / "new.csv", data.spec)
    assert samples.shape == (2, 2, 20)
    expected = np.array([[row[2], row[1]] for row in rows(50)[:40]], np.float32)
    np.testing.assert_array_equal(samples.transpose(0, 2, 1).reshape(40, 2), expected)
