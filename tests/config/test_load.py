"""Pipeline files: short forms, overrides, and errors that name the line and the nearest field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.config.load import apply_override, load_pipeline, read_yaml, shipped, validate
from edgekd.config.pipeline import Pipeline, expand
from edgekd.errors import ConfigError
from edgekd.schema import schema_text

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "p.yaml"
    path.write_text(text)
    return path


def refused(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_pipeline(write(folder, text), overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_six_lines_are_a_pipeline(tmp_path):
    text = (
        "name: mine\ndata: mine.npz\nteacher: resnet8\nstudent: mlp\nquantize: ptq\nbench: quick\n"
    )
    pipeline, base = load_pipeline(write(tmp_path, text))
    assert base == tmp_path
    assert pipeline.data.source == "npz"
    assert pipeline.teacher.model.name == "resnet8"
    assert pipeline.quantize is not None
    assert pipeline.quantize.mode == "ptq"
    assert pipeline.bench.quick


def test_the_digits_pipeline_is_short_and_right():
    path = shipped("pipelines")["digits"]
    assert len(path.read_text().splitlines()) < 40
    pipeline, _ = load_pipeline("digits")
    assert pipeline.name == "digits"


def test_an_unknown_field_names_its_line_and_the_nearest_field(tmp_path):
    message = refused(tmp_path, "name: x\ndistill:\n  method:\n    temprature: 3\n    name: kd\n")
    assert "line 4" in message
    assert "distill.method.temprature" in message
    assert "did you mean temperature?" in message


def test_an_unknown_choice_names_the_nearest(tmp_path):
    message = refused(tmp_path, "name: x\nteacher: {model: resnet21}\n")
    assert "line 2" in message
    assert "did you mean resnet20?" in message


def test_every_mistake_is_told_at_once(tmp_path):
    message = refused(tmp_path, "name: x\nseed: -1\nstuden: mlp\nbudget: {size: 40 kg}\n")
    assert "3 fields are wrong" in message
    for part in ("line 2, seed", "did you mean student?", "40 kg"):
        assert part in message


def test_a_field_given_twice_is_refused(tmp_path):
    message = refused(tmp_path, "name: x\nseed: 1\nseed: 2\n")
    assert "given twice" in message
    assert "line 3" in message


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "", "a: [1,\n", "name: 'x\n"])
def test_what_is_no_pipeline_is_refused(tmp_path, text):
    refused(tmp_path, text)


def test_python_objects_are_not_made(tmp_path):
    refused(tmp_path, "name: !!python/object/apply:os.getcwd []\n")


def test_a_missing_file_names_the_nearest_shipped_one():
    with pytest.raises(ConfigError, match="did you mean digits"):
        load_pipeline("digit")


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 65])
def test_a_name_cannot_leave_the_runs_folder(tmp_path, name):
    refused(tmp_path, f"name: {json.dumps(name)}\n")


def test_overrides_reach_any_field():
    pipeline, _ = load_pipeline(
        "digits",
        [
            "distill.method.temperature=2",
            "teacher.train.epochs=3",
            "finetune.train.epochs=2",
            "bench.threads=[1]",
            "quantize=ptq",
            "prune=false",
        ],
    )
    assert pipeline.distill.method.model_dump()["temperature"] == 2
    assert pipeline.teacher.train is not None
    assert pipeline.teacher.train.epochs == 3
    assert pipeline.finetune is not None
    assert pipeline.prune is None
    assert pipeline.quantize is not None
    assert pipeline.quantize.mode == "ptq"


def test_overrides_reach_through_short_forms(tmp_path):
    path = write(tmp_path, "name: x\nteacher: resnet20\nquantize: qat\n")
    pipeline, _ = load_pipeline(path, ["quantize.train.epochs=2", "teacher.model.width=0.5"])
    assert pipeline.teacher.model.width == 0.5
    assert pipeline.quantize is not None
    assert pipeline.quantize.train.epochs == 2


@pytest.mark.parametrize("override", ["epochs", "=3", "name.x=3", "seed.a.b=1", "name=[", "no=1"])
def test_wrong_overrides_are_refused(override):
    with pytest.raises(ConfigError):
        load_pipeline("digits", [override])


def test_a_budget_on_what_is_not_measured_is_refused(tmp_path):
    message = refused(tmp_path, "name: x\nbudget: {latency: {device: pixel, p50: 1 ms}}\n")
    assert "pixel" in message


@pytest.mark.parametrize(
    "text",
    [
        "bench: {runtimes: [onnxruntime]}\nbudget: {accuracy: 90 %}\n",
        "bench: {runtimes: [onnxruntime]}\nbudget: {latency: {p50: 1 ms}}\n",
        "bench: {runtimes: [litert]}\nexport: {formats: [onnx]}\n",
    ],
)
def test_a_budget_in_a_runtime_that_is_not_measured_is_refused(tmp_path, text):
    assert "bench.runtimes" in refused(tmp_path, "name: x\n" + text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["name", "model", "train", "x"]), inner),
                    max_leaves=8))  # fmt: skip
def test_anything_is_either_a_pipeline_or_a_config_error(value):
    for field in ("teacher", "distill", "quantize", "data", "budget", "bench"):
        try:
            validate(Pipeline, {"name": "x", field: value})
        except ConfigError as error:
            assert field in str(error)


@given(st.sampled_from(["data", "teacher", "student", "distill", "quantize"]), st.text(max_size=9))
def test_short_forms_expand_once(field, text):
    once = expand({"name": "x", field: text})
    assert expand(once) == once


def test_lines_are_those_of_the_file(tmp_path):
    _, lines = read_yaml(write(tmp_path, "a:\n  b: 1\n  c:\n    - x\n    - y\n"))
    assert lines["a", "b"] == 2
    assert lines["a", "c", 1] == 5


def test_override_makes_mappings_on_the_way():
    raw: dict = {"a": None}
    apply_override(raw, "a.b.c=1.5")
    assert raw == {"a": {"b": {"c": 1.5}}}


@pytest.mark.parametrize("folder", ["pipelines", "devices"])
def test_committed_schemas_are_up_to_date(folder):
    name = folder.removesuffix("s")
    committed = (ROOT / folder / f"{name}.schema.json").read_text()
    assert committed == schema_text(name), f"edgekd schema {name} > {folder}/{name}.schema.json"


@pytest.mark.parametrize("folder", ["pipelines", "devices"])
def test_shipped_files_name_their_schema(folder):
    for path in shipped(folder).values():
        assert f"$schema={folder.removesuffix('s')}.schema.json" in path.read_text()


def test_every_setting_is_described():
    schema = json.loads(schema_text("pipeline"))
    for owner in [schema, *schema["$defs"].values()]:
        for name, field in owner.get("properties", {}).items():
            references = [c.get("$ref", "") for c in (field, *field.get("anyOf", []))]
            named = [schema["$defs"][r.rpartition("/")[2]] for r in references if r]
            described = [part.get("description") for part in (field, *named)]
            assert any(described) or "const" in field, f"{owner.get('title')}.{name}"
