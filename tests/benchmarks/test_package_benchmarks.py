"""The benchmark of bundles runs; what it measures is not judged here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "package"))
from made_runs import make_run

Run = Callable[..., dict[str, Any]]


@pytest.mark.slow
def test_bundles_are_measured(run_benchmark: Run, tmp_path: Path) -> None:
    found = run_benchmark("package.bundles", "--quick", "--run", make_run(tmp_path, "digits"))
    (figures,) = found["figures"].values()
    assert figures["same_bytes"] and len(figures["seconds"]["values"]) == 2
    assert set(figures["bytes_over_the_model"]) >= {"linux", "web"}
