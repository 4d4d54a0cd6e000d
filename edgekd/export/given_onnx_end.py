"""What is put behind a given .onnx file: logits in the data's order of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.export.graph_nodes import PREFIX, add_node, constant
from edgekd.spec import DeployedSpec, ModelSpec
from edgekd.tasks.classes import labels_differ


def answer_of(
    graph: Any, told: DeployedSpec | None, settings: OnnxInput, path: Path, place: str
) -> str:
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
        fix=f"name the one with the logits or probabilities: {place}output",
    )


def put_end(graph: Any, answer: str, spec: ModelSpec, told: DeployedSpec | None, path: Path) -> str:
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
    constant(graph, f"{PREFIX}order", order)
    add_node(graph, "Gather", [answer, f"{PREFIX}order"], f"{PREFIX}ordered", axis=1)
    return f"{PREFIX}ordered"


def _squashing(spec: ModelSpec) -> tuple[str, ...]:
    """Operators at the end that only turn logits into probabilities."""
    if spec.task == "multilabel":
        return ("Sigmoid",)
    return () if spec.task == "regression" else ("Softmax",)
