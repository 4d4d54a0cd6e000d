"""Reading and rewriting TFLite flatbuffers with the schema that comes with LiteRT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgekd.export.sharing import share_quantizations
from edgekd.spec import METADATA_NAME, Quantization

IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # of constants, as schema.fbs demands (force_align)
KEPT_METADATA = (b"min_runtime_version",)


def parse(content: bytes) -> Any:
    """The model of a TFLite file, as the schema's object `ModelT`."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def end_quantizations(model: Any) -> list[Quantization | None]:
    """Scale and zero point of the inputs and then of the output; None for float32 and int32."""
    graph = model.subgraphs[0]
    found: list[Quantization | None] = []
    for index in (*graph.inputs, graph.outputs[0]):
        parameters = graph.tensors[index].quantization
        if parameters is None or parameters.scale is None or not len(parameters.scale):
            found.append(None)
            continue
        scale, zero_point = float(parameters.scale[0]), int(parameters.zeroPoint[0])
        found.append(Quantization(scale=scale, zero_point=zero_point))
    return found


def tidy(model: Any, input_names: Sequence[str], output_name: str) -> None:
    """Names inputs and output, and shortens all other names: they hold the exporter's classes."""
    graph = model.subgraphs[0]
    graph.name = b"main"
    for index, tensor in enumerate(graph.tensors):
        tensor.name = f"t{index}".encode()
    ends = (*graph.inputs, graph.outputs[0])
    names = dict(zip(ends, (*input_names, output_name), strict=True))
    for index, name in names.items():
        graph.tensors[index].name = name.encode()
    for signature in model.signatureDefs:
        for end in (*signature.inputs, *signature.outputs):
            end.name = names[end.tensorIndex].encode()
    model.metadata = [m for m in model.metadata or [] if m.name in KEPT_METADATA]


def describe(model: Any, description: str, text: str) -> None:
    """Sets the model's description, and adds `text` as the metadata entry `edgekd`."""
    model.description = description.encode()
    add_entry(model, METADATA_NAME, text.encode())


def add_entry(model: Any, name: str, content: bytes) -> None:
    """Adds an entry of metadata."""
    from ai_edge_litert import schema_py_generated as schema

    buffer: Any = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    added: Any = schema.MetadataT()
    added.name = name.encode()
    added.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), added]


def entry(model: Any, name: str) -> bytes | None:
    """The content of a metadata entry; None if there is none."""
    for known in model.metadata or []:
        if known.name == name.encode():
            return bytes(model.buffers[known.buffer].data)
    return None


def read_entry(content: bytes) -> str | None:
    """The text of the metadata entry `edgekd`; None if there is none."""
    found = entry(parse(content), METADATA_NAME)
    return None if found is None else found.decode()


def pack(model: Any) -> bytes:
    """The file of a model. Buffers that nothing refers to stay as they are."""
    import flatbuffers

    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data):
            buffer.Pack = _aligned_packer(buffer)
    share_quantizations(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _aligned_packer(buffer: Any) -> Any:
    """What writes a constant at a multiple of 16 bytes, which the generated code forgets."""
    from ai_edge_litert import schema_py_generated as schema

    data = bytes(np.asarray(buffer.data, np.uint8))

    def write(builder: Any) -> int:
        builder.StartVector(1, len(data), ALIGNMENT)
        builder.head = builder.head - len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)

    return write
