"""Each use of a quantized weight has tensors of its own, under names that nothing else has."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekd.export.onnx_graph import own_weights


def shared_twice() -> onnx.ModelProto:
    """Two layers with one weight, and a third whose dequantizer is called as a copy might be."""
    node = helper.make_node
    names = ("w", "s", "z")
    nodes = [
        node("DequantizeLinear", list(names), ["d"], axis=0),
        node("DequantizeLinear", ["v", "s", "z"], ["d_1"], axis=0),
        node("Gemm", ["x", "d"], ["a"], transB=1),
        node("Gemm", ["a", "d"], ["b"], transB=1),
        node("Gemm", ["b", "d_1"], ["y"], transB=1),
    ]
    arrays = {
        "w": np.arange(9, dtype=np.int8).reshape(3, 3),
        "v": np.eye(3, dtype=np.int8),
        "s": np.ones(3, np.float32),
        "z": np.zeros(3, np.int8),
    }
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3]) for n in ("x", "y")]
    stored = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


def test_copies_have_names_of_their_own_and_the_answer_stays():
    from onnx.reference import ReferenceEvaluator

    model, x = shared_twice(), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    wanted = ReferenceEvaluator(model).run(None, {"x": x})[0]
    own_weights(model.graph)
    onnx.checker.check_model(model)
    weights = [n for n in model.graph.node if n.op_type == "DequantizeLinear"]
    assert len(weights) == 3
    assert len({n.input[0] for n in weights}) == len({n.input[2] for n in weights}) == 3
    assert np.array_equal(ReferenceEvaluator(model).run(None, {"x": x})[0], wanted)
