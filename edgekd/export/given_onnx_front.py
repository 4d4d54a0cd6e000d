"""What is put before a given .onnx file: from normalised samples to the input that it wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.export.graph_nodes import PREFIX, constant, make_node, value_info
from edgekd.runtimes import foreign
from edgekd.runtimes.check_onnx import inputs_of
from edgekd.spec import DeployedSpec, InputSpec


def only_input(graph: Any, path: Path) -> Any:
    import onnx

    inputs = inputs_of(graph)
    names = ", ".join(value.name for value in inputs)
    if len(inputs) != 1:
        raise StageError(
            f"This .onnx file has {len(inputs)} inputs, and here it may have one.",
            where=f"{path}: {names}",
        )
    if inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.helper.tensor_dtype_to_string(inputs[0].type.tensor_type.elem_type)
        raise StageError(
            f"The input of this .onnx file is {kind.removeprefix('TensorProto.')}, not float32.",
            where=f"{path}: {names}",
            fix="export the float32 model",
        )
    return inputs[0]


def layout_of(
    source: Any,
    spec: InputSpec,
    told: DeployedSpec | None,
    settings: OnnxInput,
    path: Path,
    place: str,
) -> str:
    """NCHW, NHWC or NF."""
    shape = [d.dim_value or None for d in source.type.tensor_type.shape.dim]
    wanted = told.layout if told is not None else settings.layout
    return foreign.layout_of(shape, spec.shape, wanted, where=f"{path}, {source.name}", place=place)


def put_front(
    graph: Any,
    source: Any,
    spec: InputSpec,
    told: DeployedSpec | None,
    settings: OnnxInput,
    layout: str,
    path: Path,
    place: str,
) -> list[str]:
    """Puts what turns normalised samples into the file's input before it."""
    if told is not None and settings.scaled:
        raise StageError(
            "This .onnx file tells itself how its input is made.",
            where=f"{path}; {place}*",
            fix="take scale, mean and std away",
        )
    factor, offset = _affine(spec, told, settings, path, place)
    shape = (-1,) + (1,) * (len(spec.shape) - 1)
    name, batch = source.name, source.type.tensor_type.shape.dim[0]
    steps: list[tuple[str, list[str]]] = []
    if not np.allclose(factor, 1, rtol=1e-6) or not np.allclose(offset, 0, atol=1e-6):
        constant(graph, f"{PREFIX}factor", factor.astype(np.float32).reshape(shape))
        constant(graph, f"{PREFIX}offset", offset.astype(np.float32).reshape(shape))
        steps += [("Mul", [f"{PREFIX}factor"]), ("Add", [f"{PREFIX}offset"])]
    if layout == "NHWC":
        steps.append(("Transpose", []))
    if steps:
        _insert_before(graph, name, steps, [batch.dim_value or "batch", *spec.shape])
    if told is None and not settings.scaled:
        return [
            f"{path.name} does not tell how its input is made. It gets the data normalised by the "
            "training set's mean and deviation; if it is worse here than you know it, say "
            f"{place}scale, {place}mean and {place}std."
        ]
    return []


def _affine(
    spec: InputSpec, told: DeployedSpec | None, settings: OnnxInput, path: Path, place: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and offset, one a channel or feature, from edgekd's normalised values to the file's:
    raw = normalised * own std + own mean.
    """
    own_mean, own_std = np.asarray(spec.mean, float), np.asarray(spec.std, float)
    if told is not None:
        theirs = told.model.input
        assert isinstance(theirs, InputSpec), "the file has one input"
        settings = OnnxInput(mean=theirs.mean, std=theirs.std)
    elif not settings.scaled:
        return np.ones_like(own_std), np.zeros_like(own_mean)
    factor, offset = foreign.affine(spec, settings, where=str(path), place=place)
    return own_std * factor, own_mean * factor + offset


def _insert_before(
    graph: Any, name: str, steps: list[tuple[str, list[str]]], shape: list[Any]
) -> None:
    """Gives the graph a new input, whose values go through `steps` into what `name` fed."""
    fresh, inner = f"{PREFIX}input", f"{PREFIX}fed"
    for node in graph.node:
        node.input[:] = [inner if used == name else used for used in node.input]
    current, made = fresh, []
    for number, (operator, more) in enumerate(steps):
        result = inner if number == len(steps) - 1 else f"{PREFIX}step{number}"
        arguments = {"perm": [0, 2, 3, 1]} if operator == "Transpose" else {}
        made.append(make_node(operator, [current, *more], result, **arguments))
        current = result
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*made, *rest])
    kept = [value for value in graph.input if value.name != name]
    del graph.input[:]
    graph.input.extend([value_info(fresh, shape), *kept])
