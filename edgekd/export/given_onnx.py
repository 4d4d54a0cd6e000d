"""Somebody's .onnx file as a model of this data: the same network with another front and end.

What comes out is an ONNX file as edgekd's own are: it takes normalised samples, channels first,
gives logits in the data's order of classes, and says so. Runtimes, benchmarks and reports need to
know nothing of where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.spec import METADATA_NAME, DeployedSpec, InputSpec, ModelSpec
from edgekd.store import write_atomic
from edgekd.tasks.classes import labels_differ

PREFIX = "edgekd_"
"""Of everything that is added to the graph."""
LEAST_PROBABILITY = 1e-7
"""Added to probabilities before their logarithm, which softmax turns into the same again."""


@dataclass(frozen=True)
class Adapted:
    """What was found in the file."""

    parameters: int
    """Numbers that it stores: initializers and constants of floating point."""
    macs: int
    """Multiply-accumulates of one inference; 0 where the graph's shapes do not tell."""
    warnings: list[str]


def adapt(path: Path, spec: ModelSpec, settings: OnnxInput, out: Path) -> Adapted:
    """Writes `path` as a model of `spec` to `out`.

    Args:
        path: an .onnx file with one float32 input, all weights inside.
        spec: the data's input, task and labels.
        settings: how the file wants its input, where it does not tell itself.
        out: the file to write; it takes what `spec.input.normalise` gives, (N, *shape).

    Raises:
        StageError: the file cannot be read or is none of these, or its labels are not the data's.
    """
    from edgekd.export.onnx_count import macs, parameters

    own = spec.input
    assert isinstance(own, InputSpec), "a teacher's file has one input"
    model = _read(path)
    graph = model.graph
    size = parameters(graph)
    told = _told(model, path)
    source = _only_input(graph, path)
    layout = _layout(source, own, told, settings, path)
    warnings = _front(graph, source, own, told, settings, layout, path)
    answer = _output(graph, told, settings, path)
    end = _end(graph, answer, spec, told, path)
    del graph.output[:]
    graph.output.extend([_value(end, ["batch", len(spec.labels)])])
    deployed = DeployedSpec(
        model=spec.model_copy(update={"output": end}),
        format="onnx",
        precision="float32",
        layout="NF" if len(own.shape) == 1 else "NCHW",
    )
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_NAME, deployed.model_dump_json()
    write_atomic(out, model.SerializeToString())
    work = macs(model, own.shape)
    if not work:
        warnings.append("The multiplications of the .onnx teacher cannot be counted.")
    return Adapted(size, work, warnings)


def from_probabilities(path: Path) -> None:
    """Gives the logarithm of the file's outputs instead of them, in place."""
    model = _read(path)
    graph = model.graph
    (output,) = graph.output
    logits = f"{PREFIX}log"
    _constant(graph, f"{PREFIX}least", np.float32(LEAST_PROBABILITY))
    _node(graph, "Add", [output.name, f"{PREFIX}least"], f"{PREFIX}positive")
    _node(graph, "Log", [f"{PREFIX}positive"], logits)
    outputs = [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim]
    del graph.output[:]
    graph.output.extend([_value(logits, outputs)])
    (entry,) = model.metadata_props
    deployed = DeployedSpec.model_validate_json(entry.value)
    renamed = deployed.model.model_copy(update={"output": logits})
    entry.value = deployed.model_copy(update={"model": renamed}).model_dump_json()
    write_atomic(path, model.SerializeToString())


def _read(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except (OSError, DecodeError) as error:
        raise StageError(
            "This .onnx file cannot be read.", where=f"{path}: {type(error).__name__}"
        ) from error
    if any(i.data_location == onnx.TensorProto.EXTERNAL for i in model.graph.initializer):
        raise StageError(
            "The weights of this .onnx file lie in another file.",
            where=str(path),
            fix="save it as one: onnx.save_model(onnx.load(old), new)",
        )
    return model


def _told(model: Any, path: Path) -> DeployedSpec | None:
    """What a file of edgekd tells about itself."""
    text = next((p.value for p in model.metadata_props if p.key == METADATA_NAME), None)
    if text is None:
        return None
    try:
        told = DeployedSpec.model_validate_json(text)
    except ValidationError as error:
        raise StageError(
            "The description inside this .onnx file cannot be read.",
            where=f"{path}: {error.errors()[0]['msg']}",
            fix="export the model again with this version of edgekd",
        ) from error
    if told.precision != "float32":
        raise StageError(
            "This .onnx file is quantized, and soft labels want a teacher in float32.",
            where=str(path),
            fix="give the float32 file that was exported beside it",
        )
    return told


def _only_input(graph: Any, path: Path) -> Any:
    import onnx

    stored = {initializer.name for initializer in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    names = ", ".join(value.name for value in inputs)
    if len(inputs) != 1:
        raise StageError(
            f"This .onnx file has {len(inputs)} inputs, and a teacher has one.",
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


def _layout(
    source: Any,
    spec: InputSpec,
    told: DeployedSpec | None,
    settings: OnnxInput,
    path: Path,
) -> str:
    """NCHW, NHWC or NF."""
    shape = tuple(d.dim_value or None for d in source.type.tensor_type.shape.dim)[1:]
    rank = len(spec.shape)
    first, last = spec.shape, (*spec.shape[1:], spec.shape[0])
    wanted = told.layout if told is not None else settings.layout
    choices = {"NCHW": first, "NHWC": last} if rank == 3 else {"NF": first}
    fitting = [name for name, own in choices.items() if _fits(shape, own)]
    chosen = [name for name in fitting if wanted in ("auto", name) or rank == 1]
    if not chosen:
        seen = ", ".join("?" if size is None else str(size) for size in shape)
        raise StageError(
            f"The input of this .onnx file is (N, {seen}), and a sample of the data is "
            f"{spec.shape}, channels first.",
            where=f"{path}, {source.name}",
            fix="give the data the size that the model was trained on (data.size), or check "
            "teacher.input.layout",
        )
    batch = source.type.tensor_type.shape.dim[0].dim_value
    if batch > 1:
        raise StageError(
            f"This .onnx file takes {batch} samples at a time, no more and no fewer.",
            where=f"{path}, {source.name}",
            fix="export it with a batch of 1, or with an open one",
        )
    return chosen[0]


def _fits(shape: tuple[int | None, ...], own: tuple[int, ...]) -> bool:
    pairs = zip(shape, own, strict=False)
    return len(shape) == len(own) and all(size in (None, want) for size, want in pairs)


def _front(
    graph: Any,
    source: Any,
    spec: InputSpec,
    told: DeployedSpec | None,
    settings: OnnxInput,
    layout: str,
    path: Path,
) -> list[str]:
    """Puts what turns normalised samples into the file's input before it."""
    if told is not None and settings.scaled:
        raise StageError(
            "This .onnx file tells itself how its input is made.",
            where=f"{path}; teacher.input",
            fix="take scale, mean and std away",
        )
    factor, offset = _affine(spec, told, settings, path)
    shape = (-1,) + (1,) * (len(spec.shape) - 1)
    name, batch = source.name, source.type.tensor_type.shape.dim[0]
    steps: list[tuple[str, list[str]]] = []
    if not np.allclose(factor, 1, rtol=1e-6) or not np.allclose(offset, 0, atol=1e-6):
        _constant(graph, f"{PREFIX}factor", factor.astype(np.float32).reshape(shape))
        _constant(graph, f"{PREFIX}offset", offset.astype(np.float32).reshape(shape))
        steps += [("Mul", [f"{PREFIX}factor"]), ("Add", [f"{PREFIX}offset"])]
    if layout == "NHWC":
        steps.append(("Transpose", []))
    if steps:
        _insert_before(graph, name, steps, [batch.dim_value or "batch", *spec.shape])
    if told is None and not settings.scaled:
        return [
            "The .onnx teacher does not tell how its input is made. It gets the data normalised by "
            "the training set's mean and deviation; if it is worse here than you know it, say "
            "teacher.input: {scale: ..., mean: ..., std: ...}."
        ]
    return []


def _affine(
    spec: InputSpec, told: DeployedSpec | None, settings: OnnxInput, path: Path
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and offset, one a channel or feature, from edgekd's normalised values to the file's.

    The file wants (raw * scale - mean) / std, and raw = normalised * own std + own mean.
    """
    own_mean, own_std = np.asarray(spec.mean, float), np.asarray(spec.std, float)
    if told is None and not settings.scaled:
        return np.ones_like(own_std), np.zeros_like(own_mean)
    if told is not None:
        theirs = told.model.input
        assert isinstance(theirs, InputSpec), "the file has one input"
        scale, mean, std = 1.0, theirs.mean, theirs.std
    else:
        scale, mean, std = settings.scale or 1.0, settings.mean or (0.0,), settings.std or (1.0,)
    for field, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, len(own_mean)):
            raise StageError(
                f"There are {len(values)} numbers for {len(own_mean)} channels or features.",
                where=f"teacher.input.{field}; {path}",
                fix="give one for all, or one each",
            )
    factor = own_std * scale / np.asarray(std, float)
    offset = (own_mean * scale - np.asarray(mean, float)) / np.asarray(std, float)
    return np.broadcast_to(factor, own_std.shape), np.broadcast_to(offset, own_std.shape)


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
        made.append(_make_node(operator, [current, *more], result, **arguments))
        current = result
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*made, *rest])
    kept = [value for value in graph.input if value.name != name]
    del graph.input[:]
    graph.input.extend([_value(fresh, shape), *kept])


def _output(graph: Any, told: DeployedSpec | None, settings: OnnxInput, path: Path) -> str:
    names = [value.name for value in graph.output]
    wanted = settings.output or (told.model.output if told is not None else None)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is not None and wanted in names:
        return wanted
    raise StageError(
        f"This .onnx file has no output {wanted}."
        if wanted
        else f"This .onnx file has {len(names)} outputs, and one is the answer.",
        where=f"{path}: {', '.join(names)}",
        fix="name the one with the logits or probabilities: teacher.input.output",
    )


def _end(graph: Any, answer: str, spec: ModelSpec, told: DeployedSpec | None, path: Path) -> str:
    """Takes a softmax at the end away, brings the outputs into the data's order, and returns the
    name of the result.
    """
    maker = next((node for node in graph.node if answer in node.output), None)
    if maker is not None and maker.op_type in _squashing(spec):
        answer = maker.input[0]
    if told is None:
        return answer
    if told.model.task != spec.task:
        raise StageError(
            f"This .onnx file is for {told.model.task}, and the data for {spec.task}.",
            where=str(path),
        )
    theirs, ours = told.model.labels, spec.labels
    if set(theirs) != set(ours):
        raise labels_differ(theirs, ours, str(path))
    if spec.task == "regression":
        ratio = np.asarray(told.model.target_std) / np.asarray(spec.target_std)
        shift = np.asarray(told.model.target_mean) - np.asarray(spec.target_mean)
        if not (np.allclose(ratio, 1) and np.allclose(shift, 0)):
            raise StageError(
                "This .onnx file standardises its targets otherwise than the data does.",
                where=str(path),
                fix="give the training data that it was made from",
            )
    if theirs == ours:
        return answer
    order = np.array([theirs.index(label) for label in ours], np.int64)
    _constant(graph, f"{PREFIX}order", order)
    _node(graph, "Gather", [answer, f"{PREFIX}order"], f"{PREFIX}ordered", axis=1)
    return f"{PREFIX}ordered"


def _squashing(spec: ModelSpec) -> tuple[str, ...]:
    """Operators at the end that only turn logits into probabilities."""
    if spec.task == "multilabel":
        return ("Sigmoid",)
    return () if spec.task == "regression" else ("Softmax",)


def _make_node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    import onnx

    return onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)


def _node(graph: Any, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
    graph.node.extend([_make_node(operator, inputs, output, **attributes)])


def _constant(graph: Any, name: str, value: Any) -> None:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def _value(name: str, shape: list[Any]) -> Any:
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
