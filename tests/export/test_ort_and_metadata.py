"""ORT files, and what files tell about whose they are, read by the makers' own readers."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
from export_nets import exported, reference, run_tflite, samples

from edgekd.environments import EnvironmentMissing, environment
from edgekd.export import flatbuffer, metadata
from edgekd.export.facts import add_to_onnx, facts_of, write_facts
from edgekd.export.ort_file import export_ort
from edgekd.export.tflite_metadata import add_to_tflite
from edgekd.runtimes import load

GIVEN = {"name": "Digits", "author": "A. Person", "license": "MIT", "description": "Reads a digit."}
DISPLAY = """
import json, sys
from tflite_support import metadata
shown = metadata.MetadataDisplayer.with_model_file(sys.argv[1])
files = shown.get_packed_associated_file_list()
labels = {f: shown.get_associated_file_buffer(f).decode() for f in files}
print(json.dumps({"told": json.loads(shown.get_metadata_json()), "files": labels}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("told")


@pytest.fixture(scope="module")
def tflite_support():
    try:
        return environment("tflite-support")
    except EnvironmentMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_ort_file_answers_as_its_onnx_file_and_names_its_operators(precision, folder):
    source, _ = exported("dscnn", precision, "onnx", folder)
    path = folder / f"dscnn-{precision}.ort"
    told = export_ort(source, path)
    assert path.read_bytes()[4:8] == b"ORTM"
    assert told.format == "ort" and metadata.read(path) == told
    runtime = load(path)
    assert runtime.name == "onnxruntime" and runtime.describe() == told
    x = samples("dscnn").numpy()
    step = 1e-5 if told.output_quantization is None else told.output_quantization.scale
    assert np.abs(runtime.run(x) - load(source).run(x)).max() <= 1.001 * step
    config = path.with_suffix(".required_operators_and_types.config").read_text()
    needed = {line.split(";")[0] for line in config.splitlines() if not line.startswith("#")}
    assert needed <= {"ai.onnx", "com.microsoft"} and "ai.onnx" in needed
    assert ("QLinearConv" in config) == (precision == "int8")
    assert str(folder) not in config and "/tmp" not in config


def test_facts_stand_beside_the_file_and_in_the_onnx_and_ort_files(folder):
    source, told = exported("row", "int8", "onnx", folder)
    facts = facts_of(told, **GIVEN)
    add_to_onnx(source, facts)
    model = onnx.load(str(source))
    entries = {entry.key: entry.value for entry in model.metadata_props}
    assert {key: entries[key] for key in GIVEN} == GIVEN
    assert json.loads(entries["edgekd"]) == told.model_dump(mode="json")
    assert model.doc_string == "Reads a digit."
    export_ort(source, folder / "row.ort")
    session = onnxruntime.InferenceSession(str(folder / "row.ort"))
    assert session.get_modelmeta().custom_metadata_map["license"] == "MIT"
    beside = json.loads(write_facts(source, told, facts).read_text())
    assert beside["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert {key: beside[key] for key in GIVEN} == GIVEN
    assert beside["edgekd"] == told.model_dump(mode="json")


def test_what_nobody_said_is_the_networks_name_and_its_task(folder):
    _, told = exported("row", "float32", "onnx", folder)
    facts = facts_of(told, author="", license=None)
    assert (facts.name, facts.description, facts.author) == ("row", "Reads digits.", "")


def test_tflite_metadata_is_what_tflite_supports_own_reader_reads(folder, tflite_support):
    path, told = exported("dscnn", "int8", "tflite", folder)
    x = samples("dscnn").numpy()[:50]
    before = run_tflite(path, x, told)
    add_to_tflite(path, told, facts_of(told, **GIVEN))
    done = subprocess.run(
        [tflite_support, "-I", "-c", DISPLAY, path], capture_output=True, text=True, check=True
    )
    shown = json.loads(done.stdout)
    assert {key: shown["told"][key] for key in GIVEN} == GIVEN
    assert shown["files"] == {"labels.txt": "".join(f"{d}\n" for d in range(10))}
    (graph,) = shown["told"]["subgraph_metadata"]
    (source,), (answer,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    assert source["name"] == "pixels"
    assert source["content"]["content_properties"]["color_space"] == "GRAYSCALE"
    (unit,) = source["process_units"]
    np.testing.assert_allclose(unit["options"]["mean"], [4.9], rtol=1e-6)
    np.testing.assert_allclose(unit["options"]["std"], [6.0], rtol=1e-6)
    (labels,) = answer["associated_files"]
    assert (labels["name"], labels["type"]) == ("labels.txt", "TENSOR_AXIS_LABELS")
    # edgekd's own entry, the constants' alignment and the answers are as before
    assert metadata.read(path) == told
    np.testing.assert_array_equal(run_tflite(path, x, told), before)
    assert zipfile.ZipFile(io.BytesIO(path.read_bytes())).testzip() is None
    assert flatbuffer.entry(flatbuffer.parse(path.read_bytes()), "TFLITE_METADATA") is not None
    assert np.abs(before - reference("dscnn", "int8")[:50]).max() < 3
