"""The user's own networks, and what a factory that does not work is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.build import build
from edgekd.models.python_source import python_source
from edgekd.spec import InputSpec

SPEC = InputSpec(kind="image", shape=(1, 6, 6), mean=(0,), std=(1,))
GOOD = """
from dataclasses import dataclass

import torch
from torch import nn

@dataclass
class Settings:
    hidden: int

def tiny(spec, classes, hidden=4):
    s = Settings(hidden)
    size = spec.shape[0] * spec.shape[1] * spec.shape[2]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(size, s.hidden), nn.Dropout(), nn.Linear(s.hidden, classes)
    )
"""


def make(folder: Path, source: str, reference: str = "net.py:tiny", **arguments) -> nn.Module:
    (folder / "net.py").write_text(source)
    return build(ModelSettings(python=reference, arguments=arguments), SPEC, 5, folder)


def refused(folder: Path, source: str, reference: str = "net.py:tiny", **arguments) -> StageError:
    with pytest.raises(StageError) as caught:
        make(folder, source, reference, **arguments)
    return caught.value


def test_file_beside_the_pipeline(tmp_path):
    model = make(tmp_path, GOOD, hidden=9)
    assert model[1].out_features == 9
    assert model(torch.zeros(3, 1, 6, 6)).shape == (3, 5)
    assert all(module.training for module in model.modules())
    assert python_source(ModelSettings(python="net.py:tiny"), tmp_path) == GOOD


def test_file_in_a_subfolder_and_by_absolute_path(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "a.py").write_text(GOOD)
    for reference in ("nets/a.py:tiny", f"{tmp_path}/nets/a.py:tiny"):
        assert make(tmp_path, "", reference)(torch.zeros(2, 1, 6, 6)).shape == (2, 5)


def test_changed_file_is_read_again(tmp_path):
    make(tmp_path, GOOD)
    changed = make(tmp_path, GOOD.replace("hidden=4", "hidden=7"))
    assert changed[1].out_features == 7
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for folder, hidden in (("a", 3), ("b", 6)):
        (tmp_path / folder).mkdir()
        model = make(tmp_path / folder, GOOD.replace("hidden=4", f"hidden={hidden}"))
        assert model[1].out_features == hidden


def test_installed_module(tmp_path, monkeypatch):
    (tmp_path / "edgekd_test_net.py").write_text(GOOD)
    monkeypatch.syspath_prepend(tmp_path)
    model = build(ModelSettings(python="edgekd_test_net:tiny"), SPEC, 5)
    assert model(torch.zeros(2, 1, 6, 6)).shape == (2, 5)
    assert python_source(ModelSettings(python="edgekd_test_net:tiny")) == GOOD
    monkeypatch.delitem(sys.modules, "edgekd_test_net")


def test_source_does_not_run_the_file(tmp_path):
    (tmp_path / "net.py").write_text("raise SystemExit('ran')")
    settings = ModelSettings(python="net.py:tiny")
    assert python_source(settings, tmp_path) == "raise SystemExit('ran')"
    assert python_source(ModelSettings(name="mlp"), tmp_path) == ""


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("nowhere.py:tiny", "There is no file"),
        ("../net.py:tiny", "leads out of the pipeline file's folder"),
        ("no_such_module_of_anybody:tiny", "There is no module no_such_module_of_anybody"),
        ("no_such.module:tiny", "There is no module no_such.module"),
        ("sys:tiny", "There is no module sys"),
        ("net.py:", "does not name a function"),
        ("net.py:a b", "does not name a function"),
    ],
)
def test_source_that_cannot_be_found(tmp_path, reference, what):
    with pytest.raises(StageError, match=what) as caught:
        python_source(ModelSettings(python=reference), tmp_path)
    assert reference in caught.value.where


@pytest.mark.parametrize(
    ("source", "arguments", "what", "where"),
    [
        ("def tiny(:", {}, "cannot be imported: SyntaxError", "net.py, line 1"),
        ("import no_such_module_of_anybody", {}, "ModuleNotFoundError", "net.py, line 1"),
        ("x = 1\nraise KeyError('no')", {}, "cannot be imported: KeyError", "net.py, line 2"),
        ("def other(): ...", {}, "net.py has no function tiny", "net.py:tiny"),
        ("tiny = 3", {}, "net.py has no function tiny", "net.py:tiny"),
        ("def tiny(spec, classes):\n    return 1 / 0", {}, "ZeroDivisionError", "line 2"),
        (GOOD, {"depth": 3}, "unexpected keyword argument 'depth'", "net.py:tiny"),
        ("def tiny(spec, classes): return 3", {}, "returned a int, not a torch", "net.py:tiny"),
        (GOOD.replace("classes)", "classes + 1)", 2), {}, r"\(2, 6\), and not with", "net.py"),
        (
            GOOD.replace("size, s", "size + 1, s"),
            {},
            r"fails on an input \(2, 1, 6, 6\)",
            "net.py:tiny",
        ),
        (
            GOOD.replace("nn.Flatten(), ", ""),
            {},
            r"fails on an input \(2, 1, 6, 6\)",
            "net.py:tiny",
        ),
        ("import torch\ndef tiny(spec, classes): return torch.nn.LSTM(6, 5)", {}, "fails", ":tiny"),
    ],
)
def test_factory_that_does_not_work(tmp_path, source, arguments, what, where):
    error = refused(tmp_path, source, **arguments)
    with pytest.raises(StageError, match=what):
        raise error
    assert where in error.where


def test_failing_forward_names_the_users_line(tmp_path):
    source = """
from torch import nn
class Net(nn.Module):
    def forward(self, x):
        return nn.functional.linear(x, x.flatten())
def tiny(spec, classes):
    return Net()
"""
    assert refused(tmp_path, source).where == f"{tmp_path}/net.py, line 5"


def test_tuple_answer_is_refused(tmp_path):
    source = """
from torch import nn
class Pair(nn.Module):
    def forward(self, x):
        return x, x
def tiny(spec, classes):
    return Pair()
"""
    assert "with tuple" in refused(tmp_path, source).what
