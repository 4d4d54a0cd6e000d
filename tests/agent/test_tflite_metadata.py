"""The FlatBuffer reader finds what is there, and says of a damaged file that it is damaged."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_models import Tiny

from edgekd.agent.agent import AgentError, tflite_metadata

TEXT = {"note": "Grüße", "numbers": [1, 2.5]}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tflite")
    text = json.dumps(TEXT, ensure_ascii=False)
    return Tiny().write(folder, "tflite", "int8", text).read_bytes()


def test_reads_the_entry_among_others(content):
    assert tflite_metadata(content) == TEXT


def test_agrees_with_the_official_reader(content):
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    entry = next(m for m in model.metadata if m.name == b"edgekd")
    assert json.loads(bytes(model.buffers[entry.buffer].data)) == tflite_metadata(content)


def test_none_without_entry(tmp_path):
    path = Tiny().write(tmp_path, "tflite", "float32", None)
    assert tflite_metadata(path.read_bytes()) is None


def test_reads_buffers_behind_the_flatbuffer(content):
    """Large files: Buffer.data is left out, Buffer.offset and Buffer.size point into the file."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    buffer = model.buffers[4]
    text = bytes(buffer.data)
    buffer.data, buffer.size = None, len(text)
    sizes = []
    for offset in (2**20, None):  # the first pass tells how long the FlatBuffer is
        buffer.offset = offset or sizes[0]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        packed = bytes(builder.Output())
        sizes.append(len(packed))
    assert sizes[0] == sizes[1]
    assert tflite_metadata(packed + text) == TEXT
    with pytest.raises(AgentError, match="damaged"):
        tflite_metadata(packed + text[:-1])


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "[" * 100_000, "\x00"])
def test_entries_that_are_no_object(tmp_path, text):
    path = Tiny().write(tmp_path, "tflite", "float32", text)
    with pytest.raises(AgentError, match="not readable"):
        tflite_metadata(path.read_bytes(), str(path))


def test_buffer_number_that_does_not_exist(content):
    from ai_edge_litert import schema_py_generated as schema
    import flatbuffers  # isort: skip

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.metadata[1].buffer = 77
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(AgentError, match="damaged"):
        tflite_metadata(bytes(builder.Output()))


def outcome(data: bytes) -> object:
    """The metadata, or the error's words. Any other exception fails the test."""
    try:
        return tflite_metadata(data)
    except AgentError as error:
        return error.what


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, 3000))
def test_truncation_is_told_or_harmless(content, cut):
    found = outcome(content[:cut])
    assert found == TEXT if cut >= len(content) else isinstance(found, str | dict | None)


@settings(max_examples=400, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 2**32 - 1)), min_size=1, max_size=6
    )
)
@example(changes=[(0, 2**32 - 1)])
def test_damage_is_told_or_harmless(content, changes):
    """Positions and lengths are overwritten, also with ones that point before the file."""
    data = bytearray(content)
    for place, value in changes:
        at = place % (len(data) - 4)
        if not 0 < at < 8:
            data[at : at + 4] = struct.pack("<I", value)
    assert isinstance(outcome(bytes(data)), str | dict | None)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes(data):
    assert outcome(data) == "This is not a TFLite file." or data[4:8] == b"TFL3"
    assert isinstance(outcome(data[:4] + b"TFL3" + data[4:]), str | dict | None)
