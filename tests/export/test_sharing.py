"""Equal quantization parameters stand once in a file, which says the same as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from export_nets import exported, run_tflite, samples

from edgekd.export import flatbuffer


def unshared(model: Any) -> bytes:
    """What the generated code writes."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=flatbuffer.IDENTIFIER)
    return bytes(builder.Output())


def quantizations(content: bytes) -> list[tuple[Any, ...]]:
    graph = flatbuffer.parse(content).subgraphs[0]
    return [
        (np.asarray(q.scale).tolist(), np.asarray(q.zeroPoint).tolist(), q.quantizedDimension)
        for q in (tensor.quantization for tensor in graph.tensors)
        if q is not None and q.scale is not None
    ]


def test_the_file_is_smaller_and_says_the_same(tmp_path: Path):
    path, told = exported("mobile", "int8", "tflite", tmp_path)
    content = path.read_bytes()
    plain = unshared(flatbuffer.parse(content))
    found = quantizations(content)
    assert found == quantizations(plain)
    channels = sum(len(zero_points) for _, zero_points, _ in found)
    assert len(content) < len(plain) - 6 * channels  # of eight bytes each, nearly all
    before = tmp_path / "plain.tflite"
    before.write_bytes(plain)
    x = samples("mobile").numpy()
    assert np.array_equal(run_tflite(path, x, told), run_tflite(before, x, told))


def test_packing_again_changes_nothing(tmp_path: Path):
    path, _ = exported("mobile", "int8", "tflite", tmp_path)
    content = path.read_bytes()
    assert flatbuffer.pack(flatbuffer.parse(content)) == flatbuffer.pack(flatbuffer.parse(content))
    assert len(flatbuffer.pack(flatbuffer.parse(content))) == len(content)
