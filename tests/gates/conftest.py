"""The run that all tests of the gates look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from gate_runs import make_run


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("gates"))
