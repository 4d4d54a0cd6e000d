"""Signals as a user runs them: the shipped pipeline, and a CSV file of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import edgekd, explained
from int8_files import check_int8_files, read_summary

from edgekd.data import vibration

QUICK = [
    "teacher.train.epochs=3",
    "distill.train.epochs=4",
    "quantize.train.epochs=1",
    "data.augment.views=2",
    "bench={quick: true, min_runs: 5, threads: [1]}",
    "budget={}",
]
STATES = set(vibration.STATES)


def overrides(*more: str) -> list[str]:
    return [part for setting in (*QUICK, *more) for part in ("--set", setting)]


def write_signal(path: Path, *, steps: int = 640, machines: int = 8) -> None:
    """The beginning of each state of some of the built-in machines, as a user's file."""
    made = vibration.signal()
    starts = [
        (machine * len(STATES) + state) * vibration.STEPS
        for machine in range(machines)
        for state in range(len(STATES))
    ]
    lines = ["time," + ",".join(vibration.CHANNELS) + ",machine,state"]
    for start in starts:
        for row in range(start, start + steps):
            values = ",".join(f"{value:.4f}" for value in made.values[row])
            name, state = made.groups[row], made.targets[row, 0]
            lines.append(f"{len(lines) / vibration.RATE},{values},{name},{state}")
    path.write_text("\n".join(lines))


@pytest.mark.slow
def test_the_shipped_pipeline(tmp_path):
    edgekd("run", "series", *overrides(), cwd=tmp_path)
    folder = tmp_path / "runs/series"
    summary = read_summary(folder)
    check_int8_files(folder)
    teacher = next(model for model in summary.models if model.stage == "teacher")
    assert teacher.accuracy is not None and teacher.accuracy.value > 0.6
    assert any(row.shift == "noise" for file in summary.quality for row in file.shifts)


@pytest.mark.slow
def test_a_signal_of_ones_own(tmp_path):
    write_signal(tmp_path / "signal.csv")
    told = edgekd("data", "signal.csv", "--window", 64, cwd=tmp_path).stdout
    assert "20,480 steps, 3 channels" in told
    assert "machine                  group      8 values" in told
    assert "time                     left out" in told
    edgekd("init", "mine.yaml", "--data", "signal.csv", "--window", 64, cwd=tmp_path)
    edgekd("run", "mine.yaml", *overrides("quality=false"), cwd=tmp_path)
    folder = tmp_path / "runs/signal"
    files, _ = check_int8_files(folder)
    write_signal(tmp_path / "new.csv", steps=150, machines=1)
    answers = {
        form: edgekd("predict", path, "new.csv", cwd=tmp_path).stdout.splitlines()
        for form, path in files.items()
    }
    assert len(answers["onnx"]) == 4 * 150 // 64
    for line in answers["tflite"]:
        assert line.split(": ")[1].split()[0] in STATES
    labels = [[line.split()[-2] for line in lines] for lines in answers.values()]
    assert labels[0] == labels[1]
    lines = (tmp_path / "new.csv").read_text().splitlines()
    (tmp_path / "less.csv").write_text("\n".join(line.rsplit(",", 4)[0] for line in lines))
    done = edgekd("predict", files["onnx"], "less.csv", cwd=tmp_path, expect=1)
    explained(done, "no column 'radial_y'", "less.csv")
    (tmp_path / "short.csv").write_text("\n".join(lines[:30]))
    done = edgekd("predict", files["onnx"], "short.csv", cwd=tmp_path, expect=1)
    explained(done, "looks at 64 steps at once, and here are 29", "short.csv")


def test_a_signal_that_cannot_be_used_is_told_before_anything_is_written(tmp_path):
    write_signal(tmp_path / "signal.csv", steps=10, machines=1)
    done = edgekd(
        "init", "mine.yaml", "--data", "signal.csv", "--window", 64, cwd=tmp_path, expect=1
    )
    explained(done, "signal.csv", "data.window")
    assert not (tmp_path / "mine.yaml").exists()
    (tmp_path / "w.npz").write_bytes(b"PK")
    done = edgekd("data", "w.npz", "--window", 64, cwd=tmp_path, expect=1)
    explained(done, "a row a step", "w.npz")
