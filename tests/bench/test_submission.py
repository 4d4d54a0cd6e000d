"""A file that people send in: what it holds, what it leaves out, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tiny_models import Tiny

from benchmarks.devices import collect
from edgekd.bench.jobs import bench_files
from edgekd.bench.result import BenchResult
from edgekd.bench.submission import LARGEST, read_submission, submit
from edgekd.config.stages import BenchSettings
from edgekd.errors import ConfigError, DataError
from edgekd.schema import schema_text

KINDS = {"local": "local"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("someones-home")
    return Tiny().write(folder, "onnx", "int8").rename(folder / "student.onnx")


@pytest.fixture(scope="module")
def result(model) -> BenchResult:
    settings = BenchSettings(threads=(1,), min_runs=10, min_seconds=0.01, processes=2)
    return bench_files([model], settings)


@pytest.fixture
def sent(result, tmp_path) -> Path:
    return submit(result, KINDS, tmp_path / "sent-in")


def test_it_keeps_the_schema_and_tells_nothing_of_the_user(result, model, sent):
    text = sent.read_text()
    Draft202012Validator(json.loads(schema_text("submission"))).validate(json.loads(text))
    assert "someones-home" not in text and "local" not in json.loads(text)["edgekd"]
    (machine,) = read_submission(sent).measured
    (row,) = machine.rows
    assert row.model == "student.onnx"
    assert row.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert row.latency_us == result.rows[0].latency_us and row.processes == 2
    assert machine.device.processor == result.machines["local"].processor


def test_names_of_devices_stay_here(result, tmp_path):
    told = result.model_dump(mode="json")
    told["machines"] = {"annas-kitchen": told["machines"]["local"]}
    told["failed"] = {"annas-attic": "anna@192.168.0.17 does not let you in"}
    told["rows"][0] |= {"device": "annas-kitchen", "warnings": ["annas-kitchen is warm"]}
    path = submit(BenchResult.model_validate(told), {"annas-kitchen": "ssh"}, tmp_path)
    assert "anna" not in path.read_text() and '"ssh"' in path.read_text()


def test_a_phones_row_has_fewer_percentiles(result, tmp_path):
    told = result.model_dump(mode="json")
    told["machines"] = {"phone": told["machines"]["local"]}
    told["rows"][0]["device"] = "phone"
    told["rows"][0]["latency_us"] |= {"p90": None, "p99": None}
    path = submit(BenchResult.model_validate(told), {"phone": "adb"}, tmp_path)
    (machine,) = read_submission(path).measured
    assert machine.device.kind == "adb" and machine.rows[0].latency_us.p90 is None
    told["rows"][0]["latency_us"] |= {"p99": told["rows"][0]["latency_us"]["p50"] / 2}
    with pytest.raises(ValueError, match="percentiles are above 0 and rise"):
        submit(BenchResult.model_validate(told), {"phone": "adb"}, tmp_path)


def test_a_files_name_is_written_as_the_schema_allows_it(result, model, tmp_path):
    odd = tmp_path / "net`[1]|a.onnx"
    odd.write_bytes(model.read_bytes())
    rows = [row.model_copy(update={"model": str(odd)}) for row in result.rows]
    path = submit(result.model_copy(update={"rows": rows}), KINDS, tmp_path / "sent-in")
    (machine,) = read_submission(path).measured
    assert machine.rows[0].model == "net  1  a.onnx"


def test_what_is_not_written(result, tmp_path):
    quick = result.model_copy(update={"settings": {**result.settings, "quick": True}})
    with pytest.raises(ConfigError, match="too short"):
        submit(quick, KINDS, tmp_path)
    untimed = [row.model_copy(update={"latency_us": None}) for row in result.rows]
    with pytest.raises(DataError, match="Nothing here has times"):
        submit(result.model_copy(update={"rows": untimed}), KINDS, tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), "edgekd-bench-1"),
        (("surprise",), 1),
        (("date",), "yesterday"),
        (("measured", 0, "device", "kind"), "emulator"),
        (("measured", 0, "device", "processor"), "<script>alert(1)</script>"),
        (("measured", 0, "rows", 0, "model"), "a | b"),
        (("measured", 0, "rows", 0, "model"), "two\nlines"),
        (("measured", 0, "rows", 0, "model"), "![x](http://example.com/x.png)"),
        (("measured", 0, "rows", 0, "sha256"), "abc"),
        (("measured", 0, "rows", 0, "latency_us", "p50"), -1.0),
        (("measured", 0, "rows", 0, "latency_us", "p50"), float("nan")),
        (("measured", 0, "rows", 0, "latency_us", "p50_high"), float("inf")),
        (("measured", 0, "rows", 0, "latency_us", "p99"), 0.001),
    ],
)
def test_what_does_not_keep_the_schema_is_refused(sent, place, value):
    raw = json.loads(sent.read_text())
    inner = raw
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    sent.write_text(json.dumps(raw))
    with pytest.raises(DataError, match="no submission"):
        read_submission(sent)


def test_collecting_makes_a_table_and_names_what_it_refuses(sent, tmp_path, capsys):
    page, folder = tmp_path / "README.md", sent.parent
    page.write_text("# Devices\n<!-- devices:begin -->\n<!-- devices:end -->\n")
    assert collect.main([str(folder), "--page", str(page)]) == 0
    (line,) = [line for line in page.read_text().splitlines() if "student.onnx" in line]
    assert line.count("|") == 11 and "onnxruntime" in line
    (folder / "bad.json").write_text("{}")
    (folder / "huge.json").write_text(" " * (LARGEST + 1))
    (folder / "twice.json").write_bytes(sent.read_bytes())
    assert collect.main([str(folder), "--page", str(page)]) == 1
    told = capsys.readouterr().out
    assert "refused: bad.json: This is no submission." in told and "huge.json" in told
    assert "twice.json: the same was sent in before" in told
    assert page.read_text().count("student.onnx") == 1
    assert collect.main([str(tmp_path / "nothing"), "--page", str(page)]) == 1
    assert "Nobody has sent in a file yet." in page.read_text()


def test_the_page_has_its_marks():
    text = (collect.HERE / "README.md").read_text(encoding="utf-8")
    assert collect.replaced(text, collect.MARK, "here", Path("README.md")).count("here") > 0
