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
from pydantic import ValidationError

from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.export.given_onnx_end import answer_of, put_end
from edgekd.export.given_onnx_front import layout_of, only_input, put_front
from edgekd.export.graph_nodes import PREFIX, add_node, constant, value_info
from edgekd.runtimes.check_onnx import read_onnx
from edgekd.spec import METADATA_NAME, DeployedSpec, InputSpec, ModelSpec
from edgekd.store import write_atomic

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


def adapt(
    path: Path, spec: ModelSpec, settings: OnnxInput, out: Path, place: str = "teacher.input."
) -> Adapted:
    """Writes `path` as a model of `spec` to `out`.

    Args:
        path: an .onnx file with one float32 input, all weights inside.
        spec: the data's input, task and labels.
        settings: how the file wants its input, where it does not tell itself.
        out: the file to write; it takes what `spec.input.normalise` gives, (N, *shape).
        place: what stands before the names of `settings`' fields in errors.

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
    source = only_input(graph, path)
    layout = layout_of(source, own, told, settings, path, place)
    warnings = put_front(graph, source, own, told, settings, layout, path, place)
    answer = answer_of(graph, told, settings, path, place)
    end = put_end(graph, answer, spec, told, path)
    del graph.output[:]
    graph.output.extend([value_info(end, ["batch", len(spec.labels)])])
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
        warnings.append(f"The multiplications of {path.name} cannot be counted.")
    return Adapted(size, work, warnings)


def from_probabilities(path: Path) -> None:
    """Gives the logarithm of the file's outputs instead of them, in place."""
    model = _read(path)
    graph = model.graph
    (output,) = graph.output
    logits = f"{PREFIX}log"
    constant(graph, f"{PREFIX}least", np.float32(LEAST_PROBABILITY))
    add_node(graph, "Add", [output.name, f"{PREFIX}least"], f"{PREFIX}positive")
    add_node(graph, "Log", [f"{PREFIX}positive"], logits)
    outputs = [d.dim_param or d.dim_value for d in output.type.tensor_type.shape.dim]
    del graph.output[:]
    graph.output.extend([value_info(logits, outputs)])
    (entry,) = model.metadata_props
    deployed = DeployedSpec.model_validate_json(entry.value)
    renamed = deployed.model.model_copy(update={"output": logits})
    entry.value = deployed.model_copy(update={"model": renamed}).model_dump_json()
    write_atomic(path, model.SerializeToString())


def _read(path: Path) -> Any:
    import onnx

    model = read_onnx(path)
    if any(i.data_location == onnx.TensorProto.EXTERNAL for i in model.graph.initializer):
        raise StageError(
            "The weights of this .onnx file lie in another file.",
            where=str(path),
            fix="save it as one: onnx.save_model(onnx.load(old), new)",
        )
    return model


def told_of(model: Any, path: Path) -> DeployedSpec | None:
    """What a file of edgekd tells about itself; None of any other.

    Raises:
        StageError: it is of another version of edgekd, or its preprocessing is baked in.
    """
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
    if told.preprocess == "baked":
        raise StageError(
            "This .onnx file normalises its input itself and gives probabilities.",
            where=str(path),
            fix="give the file that was exported with preprocess: app",
        )
    return told


def _told(model: Any, path: Path) -> DeployedSpec | None:
    """The same of a teacher, which is to be a float network."""
    told = told_of(model, path)
    if told is not None and told.precision != "float32":
        raise StageError(
            "This .onnx file is quantized, and soft labels want a teacher in float32.",
            where=str(path),
            fix="give the float32 file that was exported beside it",
        )
    return told
