"""Two machines' answers to the same samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.bench.scores import Scores, same_answers
from edgekd.spec import InputSpec, ModelSpec

HERE = np.array([[2, 1, 0], [0, 3, 1], [-1, -2, -3]], np.float32)
THERE = np.array([[9, 1, 0], [0, 3, 4], [-5, -2, -3]], np.float32)


@pytest.mark.parametrize(
    ("task", "same"),
    [
        ("classification", 1),  # the second and third have another largest output
        ("binary", 1),
        ("multilabel", 3),  # no output has another sign
        ("regression", None),
    ],
)
def test_what_counts_as_the_same_answer(task, same):
    assert same_answers(THERE, HERE, task) == same


@given(st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_as_many_are_the_same_as_were_left_alone(changed, seed):
    here = np.random.default_rng(seed).permuted(np.tile(np.arange(4), (20, 1)), axis=1)
    there = here.astype(np.float32)
    there[:changed] = -there[:changed]
    assert same_answers(there, here.astype(np.float32), "classification") == 20 - changed


def test_probabilities_of_several_labels_are_compared_by_what_they_say(tmp_path: Path):
    """Of a file that edgekd did not export: none of them is below 0."""
    number, shape = onnx.TensorProto.FLOAT, ["n", 2]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Sigmoid", ["x"], ["scores"])],
        "labels",
        [onnx.helper.make_tensor_value_info("x", number, shape)],
        [onnx.helper.make_tensor_value_info("scores", number, shape)],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    file = tmp_path / "labels.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), file)
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    y = (x > 0).astype(np.float32)
    part = InputSpec(kind="row", shape=(2,), mean=(0.0, 0.0), std=(1.0, 1.0))
    spec = ModelSpec(name="", input=part, labels=("a", "b"), task="multilabel")
    scores = Scores((x, y), spec, tmp_path, foreign=True)
    there = 1 / (1 + np.exp(-x))
    there[:3, 1] = 1 - there[:3, 1]  # three samples have another second label there

    class Board:
        name = "board"

        def pull(self, _name: str, to: Path) -> None:
            np.save(to, there)

    judged = scores.judge(Board(), "onnxruntime", file, here=False)  # type: ignore[arg-type]
    assert judged.same == 17
