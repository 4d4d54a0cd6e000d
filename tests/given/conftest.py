"""The given file, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from given_net import write_digits_net


@pytest.fixture(scope="session")
def digits_net(tmp_path_factory) -> Path:
    return write_digits_net(tmp_path_factory.mktemp("given") / "net.onnx")
