"""What comes out of rules: of a real run as it is, and of copies with changed figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gate_runs import another_file, answered, bench_of, changed, student, timed

from edgekd.config.gate import GateSettings
from edgekd.errors import ConfigError, StageError
from edgekd.gates.check import check_run
from edgekd.gates.finding import Finding
from edgekd.pipeline import read_summary
from edgekd.quality.retention import change
from edgekd.registry.entry import entry_of, gather_named


def check(run: Path, base: Path | None = None, gate: str | None = None) -> dict[str, Finding]:
    """The findings by rule; those against the baseline are called "than ..."."""
    file = None
    if gate is not None:
        file = run.parent / f"{run.name}.yaml"
        file.write_text(gate)
    baseline = None if base is None else (base, read_summary(base))
    found = check_run(run, read_summary(run), budget=file, baseline=baseline)
    return {f.rule if f.group == "budget" else f"than {f.rule}": f for f in found}


def same(_raw: dict[str, Any]) -> None:
    """Nothing is edited."""


def copies(released: Path, tmp_path: Path, edit: Any = same) -> tuple[Path, Path]:
    """A new run with an export of its own, and the released one, both to be changed."""
    new, old = changed(released, tmp_path / "new", edit), changed(released, tmp_path / "old", edit)
    another_file(new)
    return new, old


def test_the_runs_own_budget_is_judged_as_the_run_does(released: Path):
    found = check(released)
    told = {row.name: row.verdict for row in read_summary(released).budget}
    assert {name: f.outcome for name, f in found.items()} == told
    assert set(told.values()) == {"kept"} and len(told) == 3
    assert not any(f.fails for f in found.values())


def test_a_limit_must_be_shown_with_a_confidence(released: Path, tmp_path: Path):
    new, _ = copies(released, tmp_path)
    n = len(np.load(next(new.glob("distill-*")) / "test_logits.npy"))
    answered(new, np.arange(n) < round(0.9 * n))
    assert check(new, gate="accuracy: 88 %")["accuracy"].outcome == "kept"
    sure = check(new, gate="accuracy: 88 %\nconfidence: 95 %")["accuracy"]
    assert (sure.outcome, sure.fails) == ("unverified", True)
    lenient = check(new, gate="accuracy: 88 %\nconfidence: 95 %\nunverified: pass")["accuracy"]
    assert (lenient.outcome, lenient.fails) == ("unverified", False)
    assert check(new, gate="accuracy: 75 %\nconfidence: 95 %")["accuracy"].outcome == "kept"
    assert check(new, gate="accuracy: 98 %\nconfidence: 95 %")["accuracy"].outcome == "failed"


def test_seeds_that_answer_alike_are_no_surer_than_their_samples(released: Path, tmp_path: Path):
    """Student's t of equal numbers has no width."""

    def twice(raw: dict[str, Any]) -> None:
        seed = raw["seed"] + 1
        raw["models"] += [{**m, "seed": seed} for m in raw["models"]]

    new, _ = copies(released, tmp_path, twice)
    n = len(np.load(next(new.glob("distill-*")) / "test_logits.npy"))
    answered(new, np.arange(n) < round(0.9 * n))
    raw = json.loads((new / "summary.json").read_text())
    for model in raw["models"]:
        if model["stage"] == "student" and model["format"] == "onnx":
            model["accuracy"] = student(raw)["accuracy"]
        if model["stage"] == "teacher":
            model["accuracy"] = {**model["accuracy"], "value": 0.91}
    (new / "summary.json").write_text(json.dumps(raw))
    gate = "accuracy: {}\naccuracy_drop: {}\nconfidence: 95 %"
    found = check(new, gate=gate.format("89 %", "1.5 %"))
    assert [found[name].outcome for name in ("accuracy", "accuracy drop")] == ["unverified"] * 2
    found = check(new, gate=gate.format("75 %", "15 %"))
    assert [found[name].outcome for name in ("accuracy", "accuracy drop")] == ["kept"] * 2


def test_the_teachers_distance_is_paired(released: Path, tmp_path: Path):
    """As wide as the paired interval of the answers, which is narrower than two apart."""
    new, _ = copies(released, tmp_path)
    teacher = np.load(next(new.glob("teacher-*")) / "test_logits.npy")
    y = np.load(next(new.glob("data-*")) / "test_y.npy")
    right = teacher.argmax(1) == y
    right[np.flatnonzero(right)[:4]] = False
    answered(new, right)
    edge = 0.08  # between the upper ends of the paired interval and of that of two apart
    found = check(new, gate=f"accuracy_drop: {edge}\nconfidence: 95 %")["accuracy drop"]
    assert found.outcome == "kept", found
    shutil.rmtree(next(new.glob("distill-*")))
    assert check(new, gate=f"accuracy_drop: {edge}\nconfidence: 95 %")["accuracy drop"].fails


def test_a_device_that_gave_no_times_fails_the_check(released: Path, tmp_path: Path):
    def emulated(raw: dict[str, Any]) -> None:
        row = bench_of(raw)
        row |= {"latency_us": None, "emulated": "cortex-a72", "load_ms": None, "first_us": None}

    new, old = copies(released, tmp_path, emulated)
    found = check(new, old)
    budget, rule = (
        found["latency p50 on local, 1 thread"],
        found["than latency p50 on local, 1 thread"],
    )
    assert (budget.outcome, budget.fails) == ("unverified", True)
    assert "emulated cortex-a72" in budget.note
    assert (rule.outcome, rule.fails) == ("unverified", False)
    gate = "latency: {device: pi4, p50: 2 ms}"
    assert "could not be reached" in check(new, gate=gate)["latency p50 on pi4, 1 thread"].note
    passing = check(new, gate=f"{gate}\nunverified: pass")
    assert not passing["latency p50 on pi4, 1 thread"].fails


def test_a_median_must_lie_within_a_limit_with_its_interval(released: Path, tmp_path: Path):
    new, _ = copies(released, tmp_path, lambda raw: timed(raw, 100.0, 0.02))
    name = "latency p50 on local, 1 thread"
    for limit, outcome in ((110, "kept"), (102, "unverified"), (90, "failed")):
        gate = f"latency: {{p50: {limit} us}}\nconfidence: 95 %"
        assert check(new, gate=gate)[name].outcome == outcome
    gate = "latency: {p90: 1 s}\nconfidence: 95 %"
    assert "90th" in check(new, gate=gate)["latency p90 on local, 1 thread"].note


def test_the_same_file_again_is_kept(released: Path, tmp_path: Path):
    new = changed(released, tmp_path / "new", same)
    found = check(new, released)
    assert found["than accuracy"].outcome == "kept"
    assert "the same file" in found["than accuracy"].note
    assert found["than size"].outcome == "kept"
    # One process measured each, which tells nothing about the next start.
    assert found["than latency p50 on local, 1 thread"].outcome == "unverified"


def test_accuracy_against_a_released_run_is_paired(released: Path, tmp_path: Path):
    new, old = copies(released, tmp_path)
    y = np.load(next(new.glob("data-*")) / "test_y.npy")
    right = np.arange(len(y)) % 5 != 0
    fewer = right & (np.arange(len(y)) % 3 != 1)
    answered(old, right)
    answered(new, right)
    rules = "regression: {{accuracy: {}, size: null, latency: null}}"
    assert check(new, old, rules.format("6 %"))["than accuracy"].outcome == "kept"
    assert check(new, old, rules.format("0.1 %"))["than accuracy"].outcome == "unverified"
    answered(new, fewer)
    found = check(new, old, rules.format("5 %"))["than accuracy"]
    assert (found.outcome, found.fails) == ("failed", True)
    assert f"paired by {len(y)}" in found.note
    # Answers of the same samples, compared by themselves, give the interval that is told.
    data = read_data(new)
    logits = [np.load(next(run.glob("distill-*")) / "test_logits.npy") for run in (new, old)]
    wanted = change(logits[0], logits[1], y, data.model_spec(""))
    assert f"({100 * wanted.low:+.1f} to {100 * wanted.high:+.1f})".replace("-", "−") in found.found


def read_data(run: Path) -> Any:
    from edgekd.data.dataset import load

    return load(next(run.glob("data-*")))


def test_without_answers_the_two_are_compared_apart(released: Path, tmp_path: Path):
    new, old = copies(released, tmp_path)
    right = np.arange(len(read_data(new).test)) % 5 != 0
    answered(old, right)
    answered(new, right)
    gate = "regression: {accuracy: 6 %, size: null, latency: null}"
    shutil.rmtree(next(old.glob("distill-*")))
    found = check(new, old, gate)["than accuracy"]
    assert "answers were not kept" in found.note
    assert found.outcome == "unverified"  # paired, it is kept: see above
    shutil.rmtree(next(old.glob("data-*")))
    assert check(new, old, gate)["than accuracy"] == found  # of one key, so of one content
    raw = json.loads((old / "summary.json").read_text())
    next(stage for stage in raw["stages"] if stage["name"] == "data")["key"] = "0" * 12
    (old / "summary.json").write_text(json.dumps(raw))
    assert "nobody can tell" in check(new, old, gate)["than accuracy"].note
    strict = gate.replace("}", ", unverified: fail}")
    assert check(new, old, strict)["than accuracy"].fails


def test_other_test_samples_are_not_paired(released: Path, tmp_path: Path):
    new, old = copies(released, tmp_path)
    folder = next(old.glob("data-*"))
    ids = np.load(folder / "test_ids.npy")
    np.save(folder / "test_ids.npy", ids[::-1])
    told = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(told | {"fingerprint": "0" * 64}))
    assert "others" in check(new, old)["than accuracy"].note


def test_a_larger_file_fails(released: Path, tmp_path: Path):
    def larger(raw: dict[str, Any]) -> None:
        student(raw)["bytes"] = round(student(raw)["bytes"] * 1.03)

    new = changed(released, tmp_path / "new", larger)
    assert check(new, released)["than size"].outcome == "failed"
    assert check(new, released, "regression: {size: 4 %}")["than size"].outcome == "kept"


@pytest.mark.parametrize(
    ("p50", "outcome"), [(100.0, "kept"), (105.0, "unverified"), (120.0, "failed")]
)
def test_a_slower_file_fails_where_it_is_shown(
    released: Path, tmp_path: Path, p50: float, outcome: str
):
    new = changed(released, tmp_path / "new", lambda raw: timed(raw, p50, 0.01))
    old = changed(released, tmp_path / "old", lambda raw: timed(raw, 100.0, 0.01))
    found = check(new, old)["than latency p50 on local, 1 thread"]
    assert (found.outcome, found.fails) == (outcome, outcome == "failed")


def test_times_of_another_machine_are_not_compared(released: Path, tmp_path: Path):
    def elsewhere(raw: dict[str, Any]) -> None:
        timed(raw, 10.0, 0.01)
        raw["machine"]["processor"] = "Another 9000"

    new = changed(released, tmp_path / "new", lambda raw: timed(raw, 100.0, 0.01))
    old = changed(released, tmp_path / "old", elsewhere)
    found = check(new, old)["than latency p50 on local, 1 thread"]
    assert found.outcome == "unverified" and "Another 9000" in found.note


def test_a_baseline_of_something_else_is_refused(released: Path, tmp_path: Path):
    _, old = copies(released, tmp_path)
    with pytest.raises(ConfigError, match="the run itself"):
        check(released, released)
    for path, told, other in (
        ("data-*/dataset.json", '"name": "mine"', '"name": "theirs"'),
        ("export-*/student-float32.onnx.json", '"cat"', '"dog"'),
    ):
        (file,) = old.glob(path)
        text = file.read_text()
        assert text.count(told) == 1
        file.write_text(text.replace(told, other))
        with pytest.raises(ConfigError, match=r"another kind.*(dog|theirs)"):
            check(released, old)
        file.write_text(text)


def test_an_entry_of_a_registry_is_a_baseline(released: Path, tmp_path: Path):
    summary = read_summary(released)
    entry = entry_of(released, gather_named(released, summary, "mine"), None)
    for name, content in entry.items():
        path = tmp_path / "entry" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    new = changed(released, tmp_path / "new", same)
    assert check(new, tmp_path / "entry")["than accuracy"].outcome == "kept"
    another_file(new)
    found = check(new, tmp_path / "entry")
    assert "answers were not kept" in found["than accuracy"].note
    assert found["than size"].outcome == "kept"


def test_damage_is_told(released: Path, tmp_path: Path):
    new, old = copies(released, tmp_path)
    with (next(old.glob("distill-*")) / "test_logits.npy").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(StageError, match="cannot be read"):
        check(new, old)
    next(new.glob("export-*/student-float32.onnx")).write_bytes(b"another")
    with pytest.raises(StageError, match="SHA-256"):
        check(new)
    shutil.rmtree(next(new.glob("export-*/student-float32.onnx")).parent)
    with pytest.raises(StageError, match="cannot be read"):
        check(new)
    outside = changed(
        released, tmp_path / "outside", lambda raw: student(raw).update(path="../../a.onnx")
    )
    with pytest.raises(StageError, match="outside"):
        check(outside)


def test_settings_have_their_defaults():
    gate = GateSettings.model_validate({"regression": {}})
    assert (gate.confidence, gate.unverified) == (None, "fail")
    assert gate.regression is not None
    assert gate.regression.model_dump() == {
        "accuracy": 0.005, "latency": 0.05, "size": 0.02, "confidence": 0.95, "unverified": "pass",
    }  # fmt: skip
