"""edgekd: from a data set and a budget to a small network that runs on phones and boards.

import edgekd

result = edgekd.run("digits")
print(result.model("tflite", "int8"), result.report)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.errors import BudgetMissed, ConfigError, DataError, EdgekdError, StageError
    from edgekd.pipeline import RunResult, run

__all__ = [
    "BudgetMissed",
    "ConfigError",
    "DataError",
    "EdgekdError",
    "RunResult",
    "StageError",
    "run",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import edgekd` is instant."""
    if name not in __all__:
        raise AttributeError(f"module 'edgekd' has no attribute {name!r}")
    module = "edgekd.pipeline" if name in {"RunResult", "run"} else "edgekd.errors"
    return getattr(import_module(module), name)
