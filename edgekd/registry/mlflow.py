"""A registry in MLflow: its registered model NAME has a model version for each version. MLflow
numbers these itself, from 1 on, so the tag `edgekd.version` says which one it is.

The files are uploaded to a run first, and the model version that names the run is created last:
with it, the version is there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from edgekd.errors import ConfigError
from edgekd.mlflow_client import client
from edgekd.registry.stores import MLFLOW, taken, unreachable

VERSION = "edgekd.version"
EXPERIMENT = FOLDER = "edgekd"
"""Of the runs, and of the files among a run's artifacts."""
THERE = "RESOURCE_ALREADY_EXISTS"
"""What MLflow says of a name that is taken."""
T = TypeVar("T")


class MlflowRegistry:
    """See the module.

    Args:
        place: `mlflow+` and a tracking URI of MLflow's.

    Raises:
        ConfigError: MLflow is not installed.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        try:
            self.client = client(place.removeprefix(MLFLOW))
        except ImportError as error:
            raise ConfigError(
                "A registry in MLflow needs its client.",
                where=place,
                fix='pip install "edgekd[mlflow]"',
            ) from error
        except Exception as error:
            raise unreachable("read", place, error) from error

    def versions(self, name: str) -> list[str]:
        """See `Registry.versions`."""
        return [each.tags[VERSION] for each in self._listed(name)]

    def put(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        """See `Registry.put`. MLflow gives each of several writers a number of its own, and the
        lowest one wins: who finds a lower one than its own takes its own back."""
        if self._first(name, version) is not None:
            raise taken(name, version, self.place)
        made = self._ask("written", lambda: self._created(name, version, files))
        first = self._first(name, version)
        if first is None or first.run_id != made.run_id:
            self._ask("written", lambda: self.client.delete_model_version(name, str(made.version)))
            raise taken(name, version, self.place)

    def read(self, name: str, version: str, path: str) -> bytes | None:
        """See `Registry.read`."""
        found = self._first(name, version)
        if found is None:
            return None
        return self._ask("read", lambda: self._content(found.run_id, f"{FOLDER}/{path}"))

    def _listed(self, name: str) -> list[Any]:
        """The model versions that edgekd made."""
        found = self._ask("read", lambda: self.client.search_model_versions(f"name='{name}'"))
        return [each for each in found if VERSION in each.tags]

    def _first(self, name: str, version: str) -> Any:
        """The model version that a version is; None if there is none."""
        found = [each for each in self._listed(name) if each.tags[VERSION] == version]
        return min(found, key=lambda each: int(each.version), default=None)

    def _created(self, name: str, version: str, files: Mapping[str, bytes]) -> Any:
        self._unless_there(lambda: self.client.create_experiment(EXPERIMENT))
        experiment = self.client.get_experiment_by_name(EXPERIMENT).experiment_id
        run = self.client.create_run(experiment, run_name=f"{name} {version}").info
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                file = Path(folder) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            self.client.log_artifacts(run.run_id, folder, FOLDER)
        self.client.set_terminated(run.run_id)
        self._unless_there(lambda: self.client.create_registered_model(name))
        source = f"{run.artifact_uri}/{FOLDER}"
        return self.client.create_model_version(name, source, run.run_id, {VERSION: version})

    def _content(self, run: str, path: str) -> bytes | None:
        beside = self.client.list_artifacts(run, str(PurePosixPath(path).parent))
        if path not in [each.path for each in beside if not each.is_dir]:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(self.client.download_artifacts(run, path, folder)).read_bytes()

    def _unless_there(self, create: Callable[[], object]) -> None:
        from mlflow.exceptions import MlflowException

        try:
            create()
        except MlflowException as error:
            if error.error_code != THERE:
                raise

    def _ask(self, done: str, ask: Callable[[], T]) -> T:
        """MLflow and the stores behind it have many errors of their own."""
        try:
            return ask()
        except Exception as error:
            raise unreachable(done, self.place, error) from error
