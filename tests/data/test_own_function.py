"""Arrays from the user's own function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from edgekd.config.data import Augment, PythonData
from edgekd.data.sources import load_source, source_fingerprint
from edgekd.errors import EdgekdError

GOOD = """
import numpy as np
from sklearn.datasets import load_iris

def iris(parts=False):
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    if not parts:
        return x, names
    return {"x_train": x[::2], "y_train": names[::2], "x_test": x[1::2], "y_test": names[1::2]}

def fails():
    raise OSError("the disk is away")

def odd():
    return 5

def ragged():
    return {"x": [[1], [2, 3]], "y": [0, 1]}

def objects():
    return np.array([{}, {}]), [0, 1]
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(GOOD)
    return tmp_path


def test_a_pair_and_named_arrays(base: Path) -> None:
    data = load_source(PythonData(python="mine.py:iris", test=0.2), base)
    assert data.labels == ("setosa", "versicolor", "virginica") and data.name == "iris"
    assert len(data.test) == 30 and data.spec.kind == "row"
    parted = load_source(PythonData(python="mine.py:iris", arguments={"parts": True}), base)
    np.testing.assert_array_equal(
        parted.test.x, load_iris(return_X_y=True)[0][1::2].astype(np.float32)
    )


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("fails", ("OSError: the disk is away", "mine.py, line 13")),
        ("odd", ("returned a int", "(x, y)")),
        ("ragged", ("x is no array", "mine.py:ragged")),
        ("objects", ("x is no array",)),
        ("missing", ("no function missing",)),
    ],
)
def test_what_goes_wrong_is_told(base: Path, function: str, words: tuple[str, ...]) -> None:
    with pytest.raises(EdgekdError) as caught:
        load_source(PythonData(python=f"mine.py:{function}"), base)
    for word in words:
        assert word in str(caught.value)


def test_the_fingerprint_is_of_source_and_arguments(base: Path) -> None:
    settings = PythonData(python="mine.py:iris")
    prints = {source_fingerprint(settings, base)}
    prints.add(source_fingerprint(settings.model_copy(update={"arguments": {"parts": True}}), base))
    (base / "mine.py").write_text(GOOD + "# changed")
    prints.add(source_fingerprint(settings, base))
    assert len(prints) == 3


def test_variations_that_rows_cannot_have_are_refused(base: Path) -> None:
    with pytest.raises(EdgekdError, match="Only images"):
        load_source(PythonData(python="mine.py:iris", augment=Augment(flip=True)), base)
    load_source(PythonData(python="mine.py:iris", augment=Augment(mixup=0.2)), base)
