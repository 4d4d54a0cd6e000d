"""What every bundle shares: names, contents, reproducibility, and errors that say what to do."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import made_runs
import numpy as np
import pytest
from made_runs import KEY, MODELS, make_run, raw_samples
from typer.testing import CliRunner

from edgekd.cli import app
from edgekd.config.package import PackageSettings
from edgekd.errors import ConfigError, EdgekdError, StageError
from edgekd.package.asked import asked_of
from edgekd.package.facade import one_line
from edgekd.package.naming import names_of
from edgekd.package.target import TARGETS
from edgekd.package.write import package, package_missing
from edgekd.pipeline import RunResult, _package, read_summary
from edgekd.progress import SILENT
from edgekd.results import BudgetFigures
from edgekd.spec import InputSpec, ModelSpec, NamedInputs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {name: make_run(folder, name) for name in MODELS}


def files_of(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def make(run: Path, out: Path, *targets: str, version: str = "1.2.0"):
    return package(run, read_summary(run), targets or TARGETS, version=version, out=out)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_run_gives_the_same_bytes(runs, name, tmp_path):
    make(runs[name], tmp_path / "a")
    make(runs[name], tmp_path / "b")
    first, second = files_of(tmp_path / "a"), files_of(tmp_path / "b")
    assert first == second
    assert {path.split("/")[0] for path in first} == set(TARGETS)


def test_the_manifest_tells_every_file_and_what_the_model_is_worth(runs, tmp_path):
    for made in make(runs["digits"], tmp_path):
        told = json.loads((made.folder / "manifest.json").read_text())
        there = {path: c for path, c in files_of(made.folder).items() if path != "manifest.json"}
        assert set(told["files"]) == set(there) >= {"MODEL_CARD.md"}
        for path, content in there.items():
            entry = told["files"][path]
            assert entry["sha256"] == hashlib.sha256(content).hexdigest()
            assert entry["bytes"] == len(content)
        assert told["target"] == made.target and told["version"] == "1.2.0"
        assert told["pipeline"] == {"name": "digits", "key": KEY, "seed": 0}
        assert told["accuracy"]["low"] < told["accuracy"]["value"] < told["accuracy"]["high"]
        assert told["license"] == "MIT" and told["versions"] == {"edgekd": "0.1.0"}


def test_the_card_names_use_data_results_and_steps(runs, tmp_path):
    (made,) = make(runs["photos"], tmp_path, "linux")
    card = (made.folder / "MODEL_CARD.md").read_text()
    for part in ("cat, dög", "mine.npz", "90.0 %", "85.0 % to 94.0 %", "MIT", "## Limits", KEY):
        assert part in card
    assert "somewhere" not in card, "folders of the machine are nobody's business"


def test_names_are_made_for_every_language():
    spec, number = MODELS["digits"], MODELS["wear"]
    assert names_of("spoken-digits", spec).class_name == "SpokenDigitsClassifier"
    assert names_of("2.0_run", spec).module == "model_2_0_run_classifier"
    assert names_of("digits-classifier", spec).artefact == "digits-classifier"
    wear = names_of("wear", number)
    assert (wear.class_name, wear.asks) == ("WearRegressor", "predict")
    assert names_of("shop", MODELS["shop"]).asks == "predict"


def test_nothing_that_is_there_is_changed(runs, tmp_path):
    make(runs["digits"], tmp_path, "linux")
    before = files_of(tmp_path)
    with pytest.raises(ConfigError, match="already") as caught:
        make(runs["digits"], tmp_path)
    assert "another version" in caught.value.fix
    assert files_of(tmp_path) == before


def test_a_wrong_target_or_version_is_told_before_anything_is_written(runs, tmp_path):
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["package", str(runs["digits"]), "--target", "fridge"])
    assert isinstance(done.exception, ConfigError) and "linux" in done.exception.fix
    for version in ("1.2", "v1.2.0", "1.2.0-rc1", "01.0.0"):
        with pytest.raises(ConfigError, match="version"):
            make(runs["digits"], out, version=version)
    assert not out.exists()


def test_a_run_without_an_export_says_so(tmp_path):
    run = make_run(tmp_path, "digits")
    summary = read_summary(run)
    with pytest.raises(StageError, match="no exported model"):
        package(run, summary.model_copy(update={"stages": []}), ["linux"], out=tmp_path / "out")
    with pytest.raises(StageError, match="neither a TFLite nor an ONNX"):
        package(run, summary.model_copy(update={"models": []}), ["linux"], out=tmp_path / "out")


@pytest.mark.parametrize("damage", ["model", "facts", "golden", "gone"])
def test_a_damaged_run_is_refused_and_nothing_is_left(damage, tmp_path):
    run = make_run(tmp_path, "digits")
    export = run / f"export-{KEY}"
    model, facts = export / "student-int8.onnx", export / "student-int8.onnx.json"
    if damage == "model":
        model.write_bytes(model.read_bytes()[:-1] + b"x")
    elif damage == "facts":
        facts.write_text(facts.read_text()[:50])
    elif damage == "golden":
        path = export / "golden.safetensors"
        path.write_bytes(path.read_bytes()[:100])
    else:
        model.unlink()
    with pytest.raises(EdgekdError) as caught:
        make(run, tmp_path / "out")
    assert f"export-{KEY}" in caught.value.where and caught.value.fix
    assert not files_of(tmp_path / "out") if (tmp_path / "out").exists() else True


def test_a_file_that_was_fed_otherwise_is_no_bundle(tmp_path):
    """The golden inputs of the run are compared with what the bundle makes of the raw samples."""
    from safetensors.numpy import load, save

    run = make_run(tmp_path, "digits")
    path = run / f"export-{KEY}" / "golden.safetensors"
    tensors = load(path.read_bytes())
    key = "student-int8.onnx/input/input"
    tensors[key] = np.where(tensors[key] > 100, tensors[key], tensors[key] + 1).astype(np.int8)
    path.write_bytes(save(tensors))
    with pytest.raises(StageError, match="another input than the export did"):
        make(run, tmp_path / "out")


def test_without_golden_samples_one_is_made_up(tmp_path):
    run = make_run(tmp_path, "photos", golden=False)
    (made,) = make(run, tmp_path / "out", "linux")
    from zipfile import ZipFile

    (wheel,) = made.folder.glob("*.whl")
    golden = json.loads(ZipFile(wheel).read("photos_classifier/data/golden.json"))
    assert [sample["made_up"] for sample in golden["samples"]] == [0]
    with pytest.raises(StageError, match="golden") as caught:
        make(make_run(tmp_path, "shop", golden=False), tmp_path / "shop-out", "linux")
    assert "export.golden=8" in caught.value.fix


NUMBERS = InputSpec(
    kind="row",
    shape=(3000,),
    mean=(0.0,) * 3000,
    std=(1.0,) * 3000,
    columns=tuple(f"c{number}" for number in range(3000)),
)


def test_of_a_wide_table_the_first_golden_sample_is_there_and_none_is_made_up(
    tmp_path, monkeypatch
):
    """No language can make up a row, so a bundle without one could not check itself."""
    monkeypatch.setitem(MODELS, "wide", ModelSpec(name="linear", input=NUMBERS, labels=("a", "b")))
    samples = np.random.default_rng(0).normal(size=(4, 3000)).astype(np.float32)
    monkeypatch.setattr(made_runs, "raw_samples", lambda name: samples)
    make(make_run(tmp_path, "wide"), tmp_path / "out")
    (path,) = (tmp_path / "out/apple").rglob("golden.json")
    (sample,) = json.loads(path.read_text())["samples"]
    assert list(sample["row"]) == list(NUMBERS.columns)
    bare = make_run(tmp_path / "bare", "wide", golden=False)
    for target in TARGETS:
        with pytest.raises(StageError, match="None can be made up"):
            make(bare, tmp_path / "none", target)


HOSTILE = 'a"""*/\n## <script>|x'


def test_what_data_is_called_stays_text_in_code_and_in_the_card(tmp_path, monkeypatch):
    for text in ("ends *\\ static int x; /*", "*/", "\\u002a/", "*\n/"):
        assert "*/" not in one_line(text) and "\\" not in one_line(text)
    part = InputSpec(name=HOSTILE, kind="row", shape=(2,), mean=(0.0,), std=(1.0,))
    several = NamedInputs(inputs=(part, part.model_copy(update={"name": "plain"})))
    about = asked_of(ModelSpec(name="n", input=several, labels=("x", "y"))).about
    assert "plain" in about and not set('"*/\n<') & set(about)
    spec = MODELS["digits"].model_copy(update={"labels": (HOSTILE, *"123456789")})
    monkeypatch.setitem(MODELS, "odd", spec)
    monkeypatch.setattr(made_runs, "raw_samples", lambda name: raw_samples("digits"))
    (made,) = make(make_run(tmp_path, "odd"), tmp_path / "out", "android")
    card = (made.folder / "MODEL_CARD.md").read_text()
    assert "\n## &lt;" not in card and "<script" not in card and "&lt;script>" in card
    assert len((made.folder / "raw/labels.txt").read_text().splitlines()) == 10
    assert json.loads((made.folder / "raw/spec.json").read_text())["labels"][0] == HOSTILE


def test_a_run_makes_the_bundles_that_it_lacks_and_wants_a_version_for_another_model(tmp_path):
    assert set(PackageSettings().targets) == set(TARGETS)
    run = make_run(tmp_path, "digits")
    summary = read_summary(run)
    (made,) = package_missing(run, summary, ["linux"], "1.0.0")
    before = files_of(run)
    (other,) = package_missing(run, summary, ["linux", "web"], "1.0.0")
    assert (made.target, other.target) == ("linux", "web")
    assert before.items() <= files_of(run).items()
    stages = [stage.model_copy(update={"key": "ba9876543210"}) for stage in summary.stages]
    another = summary.model_copy(update={"stages": stages})
    with pytest.raises(ConfigError, match="already"):
        package_missing(run, another, ["linux"], "1.0.0")


def test_the_end_of_a_run_packages_what_keeps_its_budget(tmp_path):
    run = make_run(tmp_path, "digits")
    summary = read_summary(run)
    settings = PackageSettings(targets=("linux",), version="1.0.0")
    missed = BudgetFigures(name="size", limit=1, value=2, unit="bytes", ok=False)
    over = RunResult(run, summary.model_copy(update={"budget": [missed]}))
    _package(settings, over, SILENT)
    assert not (run / "package-1.0.0").exists()
    _package(settings, RunResult(run, summary), SILENT)
    assert (run / "package-1.0.0/linux/manifest.json").is_file()
