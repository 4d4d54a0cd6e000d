"""Reading a TFLite file of unknown origin within bounds, before LiteRT sees it.

LiteRT's Python interpreter maps a file and follows its offsets without verifying them, so that one
wrong byte may end the process. Here every table, vector and string of the schema's spine is
followed with its bounds, and what the operators refer to must exist.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edgekd.agent.agent import AgentError, FlatBuffer
from edgekd.errors import EdgekdError

MOST_BYTES = 2**31 - 1
MOST_NUMBERS = 2**31 - 1
"""In one tensor."""
TYPE_BITS = (32, 16, 32, 8, 64, 0, 8, 16, 64, 8, 64, 128, 64, 0, 0, 32, 16, 4, 16, 2, 4, 8, 8)
"""Of schema.fbs' TensorType in its order: FLOAT32, FLOAT16, INT32, UINT8, INT64, STRING, BOOL,
INT16, COMPLEX64, INT8, FLOAT64, COMPLEX128, UINT64, RESOURCE, VARIANT, UINT32, UINT16, INT4,
BFLOAT16, INT2, UINT4, FLOAT8_E4M3FN, FLOAT8_E5M2; 0 where a value has no fixed size."""

# Numbers of fields in schema.fbs.
MODEL_CODES, MODEL_SUBGRAPHS, MODEL_DESCRIPTION, MODEL_BUFFERS = 1, 2, 3, 4
MODEL_METADATA_BUFFER, MODEL_METADATA, MODEL_SIGNATURES = 5, 6, 7
GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS, GRAPH_NAME = range(5)
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_QUANTIZATION = range(5)
TENSOR_SPARSITY, TENSOR_SIGNATURE = 6, 7
QUANTIZATION_VECTORS = ((0, 4), (1, 4), (2, 4), (3, 8))
"""min, max, scale and zero_point with the bytes of an item."""
QUANTIZATION_DETAILS_TYPE, QUANTIZATION_DETAILS = 4, 5
OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS, OPERATOR_OPTIONS = 0, 1, 2, 4
OPERATOR_CUSTOM, OPERATOR_MUTATING, OPERATOR_INTERMEDIATES, OPERATOR_OPTIONS_2 = 5, 7, 8, 12
OPERATOR_LARGE = (9, 10)
"""Where custom options lie that are kept behind the FlatBuffer, and how many bytes they have."""
CODE_CUSTOM = 1
SIGNATURE_INPUTS, SIGNATURE_OUTPUTS, SIGNATURE_KEY, SIGNATURE_SUBGRAPH = 0, 1, 2, 4
MAP_NAME, MAP_TENSOR = 0, 1


def check_tflite(path: Path) -> None:
    """Follows a TFLite file.

    Raises:
        EdgekdError: it is none, or damaged, or larger than one may be.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise EdgekdError(f"A TFLite file of {size:,} bytes is not read.", where=str(path))
        content = path.read_bytes()
    except OSError as error:
        raise EdgekdError("This TFLite file cannot be read.", where=f"{path}: {error}") from error
    check_content(content, str(path))


def check_content(content: bytes, where: str) -> None:
    """The same of a file's content.

    Raises:
        EdgekdError: see `check_tflite`.
    """
    if len(content) < 8 or content[4:8] != b"TFL3":
        raise EdgekdError("This is not a TFLite file.", where=where)
    try:
        _Walk(FlatBuffer(content, where)).model()
    except AgentError as error:
        raise EdgekdError(error.what, where=error.where, fix=error.fix) from error


class _Walk:
    """Follows a model from its root; every `AgentError` says that the file is damaged."""

    def __init__(self, buffer: FlatBuffer) -> None:
        self.buffer = buffer
        self.codes = 0
        self.sizes: list[int] = []
        """Bytes of each buffer."""

    def model(self) -> None:
        read = self.buffer
        root = self.table(read.number("<I", 0))
        codes = self.tables(root, MODEL_CODES)
        self.codes = len(codes)
        for code in codes:
            read.octets(code, CODE_CUSTOM)
        for buffer in self.tables(root, MODEL_BUFFERS):
            self.sizes.append(self._buffer(buffer))
        self.demand(not self.sizes or not self.sizes[0])  # the first is the empty one
        graphs = self.tables(root, MODEL_SUBGRAPHS)
        self.demand(bool(graphs))
        counts = [self.graph(graph) for graph in graphs]
        read.octets(root, MODEL_DESCRIPTION)
        start, count = read.vector(root, MODEL_METADATA_BUFFER, 4)
        self.demand(all(read.number("<i", start + 4 * i) < len(self.sizes) for i in range(count)))
        for entry in self.tables(root, MODEL_METADATA):
            read.octets(entry, 0)
            self.demand(read.scalar(entry, 1, "<I") < len(self.sizes))
        for signature in self.tables(root, MODEL_SIGNATURES):
            self._signature(signature, counts)

    def table(self, at: int) -> int:
        """Checks a table and its vtable: the fields lie inside it, and it inside the file."""
        read = self.buffer
        vtable = at - read.number("<i", at)
        length, extent = read.number("<H", vtable), read.number("<H", vtable + 2)
        self.demand(length >= 4 and length % 2 == 0 and extent >= 4)
        read.check(vtable, length)
        read.check(at, extent)
        fields = (read.number("<H", vtable + 4 + 2 * i) for i in range((length - 4) // 2))
        self.demand(all(field < extent for field in fields))
        return at

    def tables(self, table: int, slot: int) -> list[int]:
        return [self.table(at) for at in self.buffer.tables(table, slot)]

    def demand(self, holds: bool) -> None:
        if not holds:
            raise self.buffer.damaged()

    def graph(self, graph: int) -> int:
        """Checks a subgraph and returns its number of tensors."""
        read = self.buffer
        tensors = self.tables(graph, GRAPH_TENSORS)
        for tensor in tensors:
            self._tensor(tensor)
        read.octets(graph, GRAPH_NAME)
        for slot in (GRAPH_INPUTS, GRAPH_OUTPUTS):
            self._indices(graph, slot, len(tensors), optional=False)
        for operator in self.tables(graph, GRAPH_OPERATORS):
            self.demand(read.scalar(operator, OPERATOR_CODE, "<I") < self.codes)
            self._indices(operator, OPERATOR_INPUTS, len(tensors))
            self._indices(operator, OPERATOR_OUTPUTS, len(tensors))
            self._indices(operator, OPERATOR_INTERMEDIATES, len(tensors))
            for slot, size in ((OPERATOR_CUSTOM, 1), (OPERATOR_MUTATING, 1)):
                read.vector(operator, slot, size)
            read.check(*(read.scalar(operator, slot, "<Q") for slot in OPERATOR_LARGE))
            for slot in (OPERATOR_OPTIONS, OPERATOR_OPTIONS_2):
                self._inner(operator, slot)
        return len(tensors)

    def _inner(self, table: int, slot: int) -> None:
        """A table in a field, such as an operator's options."""
        at = self.buffer.field(table, slot)
        if at is not None:
            self.table(at + self.buffer.number("<I", at))

    def _numbers(self, table: int, slot: int) -> Sequence[int]:
        """A vector of int32."""
        start, count = self.buffer.vector(table, slot, 4)
        return [self.buffer.number("<i", start + 4 * i) for i in range(count)]

    def _indices(self, table: int, slot: int, count: int, optional: bool = True) -> None:
        least = -1 if optional else 0  # -1 stands for an input that is left out
        self.demand(all(least <= index < count for index in self._numbers(table, slot)))

    def _tensor(self, tensor: int) -> None:
        read = self.buffer
        shape = self._numbers(tensor, TENSOR_SHAPE)
        kind = read.scalar(tensor, TENSOR_TYPE, "<b")
        buffer = read.scalar(tensor, TENSOR_BUFFER, "<I")
        numbers = math.prod(shape)
        self.demand(min(shape, default=0) >= 0 and numbers <= MOST_NUMBERS)
        self.demand(0 <= kind < len(TYPE_BITS) and buffer < len(self.sizes))
        stored, bits = self.sizes[buffer], TYPE_BITS[kind]
        sparse = read.field(tensor, TENSOR_SPARSITY) is not None
        if stored and bits and not sparse:
            self.demand(stored >= (numbers * bits + 7) // 8)
        read.octets(tensor, TENSOR_NAME)
        self._numbers(tensor, TENSOR_SIGNATURE)
        self._inner(tensor, TENSOR_SPARSITY)
        at = read.field(tensor, TENSOR_QUANTIZATION)
        if at is None:
            return
        scales = self.table(at + read.number("<I", at))
        counts = [read.vector(scales, slot, size)[1] for slot, size in QUANTIZATION_VECTORS]
        self.demand(counts[3] in (0, counts[2]))
        if read.scalar(scales, QUANTIZATION_DETAILS_TYPE, "<B"):
            self._inner(scales, QUANTIZATION_DETAILS)

    def _buffer(self, buffer: int) -> int:
        read = self.buffer
        _start, size = read.vector(buffer, 0, 1)
        offset = read.scalar(buffer, 1, "<Q")
        if offset > 1:
            size = read.scalar(buffer, 2, "<Q")
            read.check(offset, size)
        return size

    def _signature(self, signature: int, counts: list[int]) -> None:
        read = self.buffer
        read.octets(signature, SIGNATURE_KEY)
        graph = read.scalar(signature, SIGNATURE_SUBGRAPH, "<I")
        self.demand(graph < len(counts))
        for slot in (SIGNATURE_INPUTS, SIGNATURE_OUTPUTS):
            for entry in self.tables(signature, slot):
                read.octets(entry, MAP_NAME)
                self.demand(read.scalar(entry, MAP_TENSOR, "<I") < counts[graph])
