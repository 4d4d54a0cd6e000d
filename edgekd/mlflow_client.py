"""MLflow's client, which gives an absent server up after some seconds."""

from __future__ import annotations

import os
from typing import Any

QUICK = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""What MLflow is told unless the user has: by itself it tries an absent server for minutes."""


def client(uri: str | None = None) -> Any:
    """An `mlflow.MlflowClient`.

    Args:
        uri: of the server, for runs and for the registry; if left out, what MLflow's own variables
            say, `MLFLOW_TRACKING_URI` first of all.

    Raises:
        ImportError: MLflow is not installed.
    """
    for variable, value in QUICK.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient

    return MlflowClient(uri, registry_uri=uri)
