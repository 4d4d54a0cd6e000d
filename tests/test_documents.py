"""What the documents say must be true of the code: links, fields, defaults, commands, examples."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from edgekd.cli import DEBUG, app
from edgekd.config.load import load_pipeline, shipped
from edgekd.config.pipeline import Pipeline
from edgekd.schema import MODELS, schema_text

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "pipeline-file.md"
DOCUMENTS = [
    README,
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FIELDS = re.compile(r"<!-- fields: ([\w ]+) -->\n((?:\|.*\n)+)")
COMMAND = re.compile(r"(?:^ {4}|`)(edgekd [a-z][^`\n]*)", re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for name, body in FENCE.findall(path.read_text()) if name == language]


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return FENCE.sub("", path.read_text())


def anchor(heading: str) -> str:
    """A heading's anchor, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for link in LINK.findall(prose(path)):
        if "://" in link:
            continue
        file, _, place = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{name}: {link}"
        if place:
            headings = re.findall(r"^#+ (.*)$", prose(target), re.MULTILINE)
            assert place in map(anchor, headings), f"{name}: {link}"


def test_every_document_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall(README.read_text()))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("name", NAMES)
def test_pipelines_in_documents_are_valid(name: str) -> None:
    for block in blocks(ROOT / name, "yaml"):
        if block.startswith("name:"):
            Pipeline.model_validate(yaml.safe_load(block))


def test_the_readme_explains_the_shipped_digits_pipeline() -> None:
    (block,) = blocks(README, "yaml")
    told = Pipeline.model_validate(yaml.safe_load(block))
    assert told == load_pipeline(shipped("pipelines")["digits"])[0]


@pytest.mark.parametrize("name", NAMES)
def test_python_and_json_in_documents_are_well_formed(name: str) -> None:
    for number, block in enumerate(blocks(ROOT / name, "python")):
        compile(block, f"{name}, Python block {number}", "exec")
    for block in blocks(ROOT / name, "json"):
        json.loads(block)


def commands() -> dict[str, Any]:
    """The command line's commands by name."""
    return typer.main.get_command(app).commands  # type: ignore[attr-defined]


def used_commands(path: Path) -> list[list[str]]:
    """Each `edgekd ...` of a document as its words, comments and what is piped away left out."""
    return [shlex.split(line, comments=True) for line in COMMAND.findall(prose(path))]


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_options_exist(name: str) -> None:
    known = commands()
    for _, command, *rest in used_commands(ROOT / name):
        assert command in known, f"{name}: edgekd {command}"
        options = {o for p in known[command].params for o in (*p.opts, *p.secondary_opts)}
        options |= {"--help", "-h", DEBUG}
        given = {word.partition("=")[0] for word in rest if word.startswith("-")}
        assert given <= options, f"{name}: edgekd {command} {given - options}"


def test_options_named_alone_exist() -> None:
    options = {o for command in commands().values() for p in command.params for o in p.opts}
    elsewhere = {"--index-url", DEBUG}
    for name in NAMES:
        if name.startswith("benchmarks"):
            continue
        alone = set(re.findall(r"`(--[a-z-]+)[ `]", prose(ROOT / name)))
        assert alone <= options | elsewhere, f"{name}: {alone - options - elsewhere}"


def test_the_readme_shows_every_command_and_every_option() -> None:
    used = used_commands(README)
    for name, command in commands().items():
        words = [word for _, other, *rest in used if other == name for word in rest]
        assert any(other == name for _, other, *_ in used), f"edgekd {name}"
        for parameter in command.params:
            long = [o for o in parameter.opts if o.startswith("--") and o != "--help"]
            assert not long or set(long) & set(words), f"edgekd {name} {long}"


def test_set_in_documents_reaches_real_fields() -> None:
    found = 0
    for path in DOCUMENTS:
        for override in re.findall(r"--set '?([\w.]+=[^\s`']+)", path.read_text()):
            if override != "key.path=value":
                of_files = override.startswith(("data.root=", "data.path="))
                source = ["data={source: npz, path: mine.npz}"] if of_files else []
                load_pipeline("digits", [*source, override])
                found += 1
    assert found >= 3


def test_help_works_for_every_command() -> None:
    for name in commands():
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def told_fields() -> dict[str, dict[str, str]]:
    """By settings model: the default that `docs/pipeline-file.md` tells of each field."""
    told: dict[str, dict[str, str]] = {}
    for models, table in FIELDS.findall(REFERENCE.read_text()):
        rows = [line.strip("|").split("|") for line in table.strip().splitlines()[2:]]
        fields = {row[0].strip().strip("`"): row[1].strip() for row in rows}
        for model in models.split():
            told[model] = fields
    return told


def schema_models() -> dict[str, dict[str, Any]]:
    """By settings model: its properties in the JSON Schema of the pipeline file."""
    schema = json.loads(schema_text("pipeline"))
    models = {name: found["properties"] for name, found in schema["$defs"].items()}
    return models | {"Pipeline": schema["properties"]}


def test_the_reference_has_every_field_and_no_other() -> None:
    told = {model: set(fields) for model, fields in told_fields().items()}
    assert told == {model: set(properties) for model, properties in schema_models().items()}


def test_the_reference_tells_the_defaults() -> None:
    compared = 0
    told = told_fields()
    for model, properties in schema_models().items():
        if model in {"FinetuneTrain", "QatTrain"}:
            continue  # told in a sentence, see below
        for name, found in properties.items():
            text = told[model][name]
            default = found.get("default")
            if text == "required":
                assert "default" not in found, f"{model}.{name}"
            elif not isinstance(default, dict) and "default" in found:
                assert yaml.safe_load(text.strip("`")) == default, f"{model}.{name}"
                compared += 1
    assert compared > 50


def test_the_reference_tells_the_other_training_defaults() -> None:
    models = schema_models()
    base = models["TrainSettings"]

    def changed(model: str) -> dict[str, Any]:
        return {
            name: found["default"]
            for name, found in models[model].items()
            if found["default"] != base[name]["default"]
        }

    sentence = " ".join(
        REFERENCE.read_text().partition("Other defaults:")[2].split("\n\n")[0].split()
    )
    assert changed("FinetuneTrain") == {"epochs": 15, "learning_rate": 0.001}
    assert "have 15 epochs and a rate of 0.001" in sentence
    assert changed("QatTrain") == {
        "epochs": 10,
        "learning_rate": 0.0003,
        "weight_decay": 0.0,
        "precision": "float32",
    }
    assert "10 epochs, a rate of 0.0003, no weight decay, and `float32` only" in sentence


def test_summary_fields_told_exist() -> None:
    text = (ROOT / "docs" / "run-folder.md").read_text().partition("## summary.json")[2]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)(?:\[\])?`", row)}
    assert told == set(MODELS["result"].model_fields)


def test_figures_have_their_place() -> None:
    text = README.read_text()
    between = text.partition("<!-- figures:begin -->")[2].partition("<!-- figures:end -->")[0]
    assert "benchmarks/README.md" in between
