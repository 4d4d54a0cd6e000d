"""The comparison of runtimes, against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgekd.errors import StageError
from edgekd.export.parity import check, compare, quantization_step
from edgekd.spec import DeployedSpec, InputSpec, ModelSpec, Quantization

A = np.array([[0.0, 10.0, 1.0], [5.0, 4.9, 0.0], [3.0, 0.0, 9.0], [7.0, 1.0, 2.0]])


def test_by_hand():
    other = A.copy()
    other[1] = [4.9, 5.0, 0.0]  # a near-tie turned: 0.1 apart, step 0.1
    other[2, 0] += 0.25  # two and a half steps
    found = compare(A, other, 0.1)
    assert found.near_ties == 1 and found.agreement == 1.0 and found.n == 4
    assert found.max_steps == pytest.approx(2.5) and found.farthest == 2
    assert found.within_one_step == pytest.approx(11 / 12)
    assert found.disagreeing is None
    figures = found.figures(stage="distill", seed=0, precision="int8", pair="torch/litert")
    assert figures.max_steps == found.max_steps and figures.n == 4


def test_near_tie_is_two_steps():
    reference = np.array([[0.0, 2.0], [0.0, 2.1]])
    assert compare(reference, reference, 1.0).near_ties == 1


def test_check_names_pair_and_sample():
    other = A.copy()
    other[3] = [1.0, 7.0, 2.0]
    found = compare(A, other, 0.1)
    assert found.agreement == pytest.approx(2 / 3)
    with pytest.raises(StageError, match="torch/litert") as caught:
        check(found, pair="torch/litert", precision="float32")
    assert "sample 3 of 4" in str(caught.value)


def test_check_wants_outputs_within_a_step_at_int8_only():
    other = A + 0.15
    found = compare(A, other, 0.1)
    check(found, pair="torch/onnxruntime", precision="float32")
    with pytest.raises(StageError, match="quantization steps"):
        check(found, pair="torch/onnxruntime", precision="int8")
    check(compare(A, A + 0.1, 0.1), pair="torch/onnxruntime", precision="int8")


@pytest.mark.parametrize("other", [A[:2], A[0]])
def test_what_cannot_be_compared(other):
    with pytest.raises(ValueError, match="logits"):
        compare(A, other, 0.1)


def test_an_answer_that_is_no_number_is_an_error_that_a_user_can_read():
    for other in (np.full_like(A, np.nan), np.full_like(A, np.inf)):
        with pytest.raises(StageError, match="no finite numbers"):
            compare(A, other, 0.1)


def test_step():
    assert quantization_step(A, None) == pytest.approx(10 / 255)
    assert quantization_step(A + 5, None) == pytest.approx(15 / 255)  # int8 ranges hold 0
    model = ModelSpec(
        name="m",
        input=InputSpec(kind="row", shape=(1,), mean=(0.0,), std=(1.0,)),
        labels=("a", "b"),
    )
    deployed = DeployedSpec(
        model=model,
        format="onnx",
        precision="int8",
        layout="NF",
        output_quantization=Quantization(scale=0.25, zero_point=3),
    )
    assert quantization_step(A, deployed) == 0.25


LOGITS = arrays.arrays(np.float64, (6, 4), elements=st.floats(-50, 50))


@given(LOGITS, LOGITS, st.floats(0.01, 5))
def test_properties(reference, other, step):
    found = compare(reference, other, step)
    same = compare(reference, reference, step)
    assert same.agreement == 1 and same.max_steps == 0 and same.within_one_step == 1
    assert (found.disagreeing is None) == (found.agreement == 1)
    assert found.near_ties == same.near_ties
    # less than a step of difference cannot turn an answer that is no near-tie
    noise = np.clip(other, -0.99 * step, 0.99 * step)
    near = compare(reference, reference + noise, step)
    assert near.agreement == 1 and near.within_one_step == 1


def test_several_labels_are_the_same_set_but_for_near_ties():
    reference = np.array([[3.0, -3.0], [0.1, -3.0], [3.0, 3.0], [0.1, -0.2]])
    other = reference + 0.15
    other[1, 0], other[3] = -0.05, (-0.05, 0.1)  # within two steps of 0: rounding may turn them
    found = compare(reference, other, 0.1, "multilabel")
    assert (found.near_ties, found.agreement, found.disagreeing) == (2, 1.0, None)
    other[1, 1] = 0.5  # the clear label of a sample that has a near-tie as well
    found = compare(reference, other, 0.1, "multilabel")
    assert found.disagreeing == 1 and found.agreement == pytest.approx(2 / 3)
    with pytest.raises(StageError, match="answer differently"):
        check(found, pair="torch/litert", precision="float32")


def test_numbers_are_the_same_within_two_steps():
    reference = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]])
    found = compare(reference, reference + 0.2, 0.1, "regression")
    assert (found.near_ties, found.agreement) == (0, 1.0)
    other = reference.copy()
    other[2, 1] += 0.21
    found = compare(reference, other, 0.1, "regression")
    assert found.disagreeing == 2 and found.agreement == pytest.approx(2 / 3)


@given(LOGITS, LOGITS, st.floats(0.01, 5), st.sampled_from(["multilabel", "regression"]))
def test_properties_of_other_tasks(reference, other, step, task):
    same = compare(reference, reference, step, task)
    assert same.agreement == 1 and same.disagreeing is None
    noise = np.clip(other, -0.99 * step, 0.99 * step)
    assert compare(reference, reference + noise, step, task).agreement == 1
