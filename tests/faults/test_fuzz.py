"""Damaged files for every reader, a few each: `python -m benchmarks.faults.fuzz` gives it more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.faults.fuzz import Escape, Guard, problem
from benchmarks.faults.mutate import mutate
from benchmarks.faults.readers import READERS, Reader, seeds

QUIET = sorted(name for name, reader in READERS.items() if not reader.starts)
GUARD = Guard()


@pytest.mark.parametrize("name", QUIET)
def test_what_is_kept_is_read_or_explained(name):
    """The whole files, and all that once went wrong."""
    for content in seeds(name):
        assert problem(READERS[name], content, GUARD) is None


@pytest.mark.parametrize("name", QUIET)
def test_changed_files_are_read_or_explained(name):
    known = seeds(name)

    # The same examples each time: what is new belongs into the corpus first, not into a red run.
    @settings(max_examples=60, derandomize=True, database=None)
    @given(st.randoms(use_true_random=False))
    def changed(random):
        content = mutate(random, random.choice(known), known)
        assert problem(READERS[name], content, GUARD) is None

    changed()


@pytest.mark.parametrize(
    "act",
    [
        lambda path: os.system("true"),
        lambda path: subprocess.run([sys.executable, "-V"], check=True),
        lambda path: (path.parent.parent / "escaped").write_text("x"),
        lambda path: (path.parent.parent / "escaped").mkdir(),
        lambda path: {}["crash"],
    ],
)
def test_the_guard_sees_programs_and_files_elsewhere(act):
    assert problem(Reader(act, "x"), b"", GUARD)
    assert not issubclass(Escape, Exception)  # so that no reader's own handler takes it
