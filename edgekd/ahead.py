"""What is looked at once the data is read, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekd.config.methods import needs_features, weighed_by_gap
from edgekd.config.pipeline import Pipeline
from edgekd.config.stages import Require
from edgekd.errors import ConfigError
from edgekd.nodes import Node
from edgekd.results import Accuracy
from edgekd.stages.ensemble import no_score
from edgekd.stages.given import check_weights
from edgekd.stages.layer_check import check_layers
from edgekd.stages.networks import validation_of
from edgekd.stages.task_check import check_task, check_unlabelled
from edgekd.stages.teacher import TeacherStage, check_gate
from edgekd.store import Store, read_json

DATASET_FILE = "dataset.json"
"""What the data stage writes about the data."""
Taken = tuple[dict[str, Any], bool]
"""A finished node's manifest, and whether it was found finished."""


def check_ahead(
    pipeline: Pipeline,
    nodes: Sequence[Node],
    store: Store,
    base: Path,
    take: Callable[[Node], Taken],
) -> dict[str, Taken]:
    """Looks whether settings, layers and given teachers suit the data. Teachers that are not
    trained (a file, weights as they are) are made and judged right away, whatever their place.

    Args:
        nodes: of the run; the first is the data, and finished.
        take: gives a node's manifest, made if it is not there.

    Returns:
        What was made, by the node's name.

    Raises:
        EdgekdError: something does not fit.
    """
    data = store.path(nodes[0].kind, nodes[0].key)
    facts = read_json(data / DATASET_FILE)
    task = facts.get("task", "classification")
    check_task(pipeline, task)
    check_unlabelled(pipeline, task, facts.get("unlabelled", 0))
    if _layers_named(pipeline) and _will_train(nodes, store):
        check_layers(pipeline, data, base)
    made: dict[str, Taken] = {}
    for node in nodes:
        given = node.settings
        if not isinstance(given, TeacherStage):
            continue
        if given.train is None:
            made[node.name] = take(node)
            found = validation_of(made[node.name][0])
            check_gate(required(pipeline, node), found, node.name)
            _check_score(pipeline, node, found)
        elif given.weights is not None and store.finished(node.kind, node.key) is None:
            check_weights(given, data, base)
    return made


def required(pipeline: Pipeline, node: Node) -> Require:
    """The gate of a teacher: of several, its own."""
    number = node.stage.removeprefix("teacher")
    return pipeline.teachers[int(number[1:]) - 1].require if number else pipeline.teacher.require


def _check_score(pipeline: Pipeline, node: Node, found: Accuracy | None) -> None:
    """Whether a given teacher has the score on validation that somebody asks for."""
    if found is not None:
        return
    if pipeline.teacher_weights == "score":
        number = int(node.stage.removeprefix("teacher-"))
        raise no_score(number, len(pipeline.teachers))
    if weighed_by_gap(pipeline.distill.method):
        raise ConfigError(
            "weight by gap needs the teacher's score on validation, and there is none.",
            where=f"distill.method; {node.name} has no answers on validation",
            fix="add validation_logits to its file, or give `weight` a schedule of epochs",
        )


def _layers_named(pipeline: Pipeline) -> bool:
    """Whether the file names layers of a student that no search has yet to find."""
    kept = pipeline.quantize is not None and bool(pipeline.quantize.named_float)
    ignored = pipeline.prune is not None and bool(pipeline.prune.ignored_layers)
    asked = any(map(needs_features, pipeline.methods.values()))
    return pipeline.student.search is None and (kept or ignored or asked)


def _will_train(nodes: Sequence[Node], store: Store) -> bool:
    """Whether a network is still to be trained whose layers the file may name."""
    stages = ("teacher", "tune", "distill", "finetune", "prune", "quantize")
    return any(n.stage in stages and store.finished(n.kind, n.key) is None for n in nodes)
