"""Samples that are one array, or several by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from edgekd import inputs
from edgekd.data.dataset import Dataset, Split, fingerprint, load, save
from edgekd.errors import DataError
from edgekd.spec import InputSpec, ModelSpec, NamedInputs

NUMBERS = InputSpec(
    name="numbers", kind="row", shape=(2,), mean=(1, 2), std=(2, 4), columns=("a", "b")
)
CODES = InputSpec(name="codes", kind="codes", shape=(1,), columns=("c",), vocabulary=(("x", "y"),))
SPEC = NamedInputs(inputs=(NUMBERS, CODES))


def samples(n: int = 5) -> dict[str, np.ndarray]:
    return {
        "codes": np.arange(n, dtype=np.int32)[:, None] % 3,
        "numbers": np.arange(2.0 * n, dtype=np.float32).reshape(n, 2),
    }


def test_one_array_passes_as_it_is():
    x = np.arange(6).reshape(3, 2)
    assert inputs.length(x) == 3
    assert inputs.arguments(x) == (x,)
    np.testing.assert_array_equal(inputs.take(x, [2, 0]), x[[2, 0]])
    assert [len(part) for part in inputs.split(x, 2)] == [2, 1]
    assert inputs.call(lambda value: value.sum(), x) == 15
    assert list(inputs.named(x)) == [""]


def test_several_are_normalised_in_the_order_of_the_spec():
    x = SPEC.normalise(samples())
    assert list(x) == ["numbers", "codes"]
    np.testing.assert_array_equal(x["numbers"][1], [(2 - 1) / 2, (3 - 2) / 4])
    assert x["codes"].dtype == np.int32
    assert x["numbers"].dtype == np.float32
    taken = inputs.take(inputs.tensors(x), torch.tensor([4, 1]))
    assert taken["codes"].flatten().tolist() == [1, 1]
    assert [inputs.length(part) for part in inputs.split(x, 3)] == [3, 2]
    assert inputs.call(lambda numbers, codes: (numbers.shape, codes.shape), x) == ((5, 2), (5, 1))


def test_zeros_have_the_types_of_the_spec():
    zeros = inputs.zeros(SPEC, 3)
    assert {n: (tuple(t.shape), t.dtype) for n, t in zeros.items()} == {
        "numbers": ((3, 2), torch.float32),
        "codes": ((3, 1), torch.int32),
    }
    assert inputs.zeros(NUMBERS, 4).shape == (4, 2)
    assert inputs.describe(SPEC) == "numbers (N, 2), codes (N, 1)"
    assert inputs.describe(NUMBERS, "2") == "(2, 2)"


def test_specs_that_say_nothing_are_refused():
    with pytest.raises(ValidationError, match="names that differ"):
        NamedInputs(inputs=(NUMBERS, NUMBERS))
    with pytest.raises(ValidationError, match="vocabulary"):
        InputSpec(kind="codes", shape=(2,), vocabulary=(("x",),))
    with pytest.raises(ValidationError, match="mean"):
        InputSpec(kind="row", shape=(2,))


def test_model_spec_round_trip():
    for given in (SPEC, NUMBERS):
        spec = ModelSpec(name="m", input=given, labels=("a", "b"))
        assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec


def test_data_set_of_several_inputs_is_saved_and_fingerprinted(tmp_path):
    x, y = SPEC.normalise(samples()), np.array([0, 1, 0, 1, 0])
    splits = {name: Split(x, y) for name in ("train", "validation", "test")}
    print_ = fingerprint(splits, ("a", "b"))
    data = Dataset("t", **splits, spec=SPEC, labels=("a", "b"), fingerprint=print_)
    save(data, tmp_path)
    back = load(tmp_path)
    assert back.spec == SPEC
    assert list(back.train.x) == ["numbers", "codes"]
    assert isinstance(back.train.x["codes"], np.memmap)
    np.testing.assert_array_equal(back.test.x["numbers"], x["numbers"])
    assert fingerprint(back.splits, back.labels) == print_
    changed = {**x, "codes": x["codes"] + 1}
    assert fingerprint(splits | {"test": Split(changed, y)}, ("a", "b")) != print_
    (tmp_path / "test_x1.npy").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path)
