"""Two machines' answers to the same samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.bench.scores import same_answers

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
