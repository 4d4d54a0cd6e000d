"""Reading an ONNX file of unknown origin within bounds, before any runtime sees it.

protobuf itself reads no further than the file; what a damaged or hostile file can still do is name
files outside of its folder, claim tensors far larger than what it stores, and nest its graphs. Each
is looked for here, so that the runtimes are given only what a file can hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekd.errors import StageError

MOST_BYTES = 2**31 - 1
"""protobuf writes no larger message; such a model keeps its weights in files beside it."""
MOST_NUMBERS = 2**31 - 1
"""In one tensor: a billion float32 numbers are 4 GB."""
MOST_DEPTH = 8
"""Graphs in graphs: branches and loop bodies."""
COPY = "copy or export it again"


def read_onnx(path: Path) -> Any:
    """The model (`onnx.ModelProto`) of a file, checked; its external weights are not loaded.

    Raises:
        StageError: it cannot be read, is no ONNX model, is damaged, or names files that are not
            its own; says which tensor or input.
    """
    import onnx
    from google.protobuf.message import DecodeError

    where = str(path)
    content = _content(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RuntimeError, ValueError, RecursionError) as error:
        raise StageError(
            "This .onnx file cannot be read: it is damaged, cut off, or something else.",
            where=f"{where}: {type(error).__name__}",
            fix=COPY,
        ) from error
    if not model.graph.node or not model.opset_import:
        raise StageError(
            "This is no whole ONNX model: it has no operators, or does not say of which version.",
            where=where,
            fix=COPY,
        )
    _check_ends(model.graph, where)
    for tensor in _tensors(model.graph, where, 0):
        _check_tensor(tensor, path)
    return model


def opset(model: Any) -> int:
    """The version of ONNX's operators that a model is written in; 0 where it does not say."""
    return max(
        (int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0
    )


def inputs_of(graph: Any) -> list[Any]:
    """What the caller feeds: old files list their weights among the inputs, too."""
    stored = {initializer.name for initializer in graph.initializer}
    return [value for value in graph.input if value.name not in stored]


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise StageError(
                f"This .onnx file has {size:,} bytes, more than one may have.",
                where=str(path),
                fix="keep its weights in a file beside it: onnx.save_model(model, path, "
                "save_as_external_data=True)",
            )
        content = path.read_bytes()
    except OSError as error:
        raise StageError("This .onnx file cannot be read.", where=f"{path}: {error}") from error
    if not content:
        raise StageError("This .onnx file is empty.", where=str(path), fix=COPY)
    return content


def _check_ends(graph: Any, where: str) -> None:
    """Inputs and outputs have names and shapes that can be."""
    for value in (*inputs_of(graph), *graph.output):
        if not value.name:
            raise StageError(
                "An input or output of this .onnx file has no name, so nothing can be fed to it.",
                where=where,
                fix="name it when you export the model (torch.onnx.export: input_names)",
            )
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim if d.HasField("dim_value")]
        if min(dims, default=0) < 0 or math.prod(dims) > MOST_NUMBERS:
            raise StageError(
                f"{value.name} of this .onnx file has an impossible shape: {dims}.",
                where=where,
                fix=COPY,
            )
    if not graph.output:
        raise StageError("This .onnx file has no output.", where=where, fix=COPY)


def _tensors(graph: Any, where: str, depth: int) -> Iterator[Any]:
    """Everything that is stored: weights, constants, and those of inner graphs."""
    if depth > MOST_DEPTH:
        raise StageError(
            f"The graphs of this .onnx file lie more than {MOST_DEPTH} deep in each other.",
            where=where,
        )
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            inner = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
            for each in inner:
                yield from _tensors(each, where, depth + 1)


def _check_tensor(tensor: Any, path: Path) -> None:
    """The shape says as many numbers as are stored, here or in a file of the same folder."""
    import onnx

    name = tensor.name or "a constant"
    numbers = math.prod(tensor.dims)
    if min(tensor.dims, default=0) < 0 or numbers > MOST_NUMBERS:
        raise _damaged(name, f"a shape of {list(tensor.dims)}", path)
    bits = _bits(tensor.data_type)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_external(tensor, name, (numbers * (bits or 1) + 7) // 8, path)
        return
    if bits is None:  # strings, and types that are newer than this version of onnx
        return
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != (numbers * bits + 7) // 8:
            raise _damaged(name, f"{len(tensor.raw_data)} bytes for {numbers} numbers", path)
        return
    fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
    stored = sum(len(getattr(tensor, field)) for field in fields)
    if stored < (numbers * bits + 63) // 64:
        raise _damaged(name, f"{stored} stored values for {numbers} numbers", path)


def _damaged(name: str, what: str, path: Path) -> StageError:
    return StageError(
        f"The tensor {name} of this .onnx file has {what}.", where=str(path), fix=COPY
    )


def _bits(kind: int) -> int | None:
    """Of one number of a type; None where it has no fixed size here."""
    import onnx
    from onnx import helper

    small = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    name = names.get(kind, "UNDEFINED")
    if name in small:
        return small[name]
    if name in ("UNDEFINED", "STRING"):
        return None
    return 8 * helper.tensor_dtype_to_np_dtype(kind).itemsize


def _check_external(tensor: Any, name: str, needed: int, path: Path) -> None:
    told = {entry.key: entry.value for entry in tensor.external_data}
    # The model may be a link, as in Hugging Face's cache, and the weights one beside it.
    beside, folder = path.absolute().parent, path.resolve().parent
    file = told.get("location", "")
    full = (beside / file).resolve()
    inside = any(full.is_relative_to(each) for each in (beside.resolve(), folder))
    if not file or Path(file).is_absolute() or ".." in Path(file).parts or not inside:
        raise StageError(
            f"The weights {name} of this .onnx file lie at {file!r}, out of its folder.",
            where=str(path),
            fix="put that file beside the model, and save the model again",
        )
    try:
        offset, length = int(told.get("offset", 0)), int(told.get("length", needed))
    except ValueError:
        offset, length = -1, -1
    size = full.stat().st_size if full.is_file() else -1
    if size < 0:
        raise StageError(
            f"The weights of this .onnx file are missing: there is no {file}.", where=str(path)
        )
    if offset < 0 or length < 0 or offset + length > size:
        raise _damaged(name, f"its weights beyond the end of {file}", path)
