"""Models in and out of a real MLflow, whose store is a file of SQLite."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest

from edgekd.errors import ConfigError, EdgekdError
from edgekd.pipeline import read_summary
from edgekd.registry.mlflow import MlflowRegistry
from edgekd.registry.promote import promote
from edgekd.registry.pull import pull
from edgekd.registry.stores import registry_at

sys.path.append(str(Path(__file__).resolve().parents[1] / "package"))
from made_runs import KEY, make_run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The registry; MLflow keeps artifacts beside the working directory, and is told of no use."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.chdir(folder)
        yield f"mlflow+sqlite:///{folder}/mlflow.db"


@pytest.mark.slow
def test_a_released_model_comes_back_and_is_never_overwritten(place, tmp_path):
    run = make_run(tmp_path, "digits")
    registry = registry_at(place)
    summary = read_summary(run)
    made = [promote(run, summary, registry, version=v).version for v in ("1.9.0", "1.10.0", None)]
    assert made == ["1.9.0", "1.10.0", "1.10.1"]
    pulled = pull("digits-classifier@latest", registry_at(place), out=tmp_path / "pulled")
    assert pulled.verified.manifest.version == "1.10.1"
    for path in (run / f"export-{KEY}").iterdir():
        assert (pulled.folder / path.relative_to(run)).read_bytes() == path.read_bytes()
    with pytest.raises(ConfigError, match="already"):
        promote(run, summary, registry, version="1.9.0")
    with pytest.raises(ConfigError, match="has no"):
        pull("digits-classifier@2.0.0", registry, out=tmp_path / "none")
    assert registry.read("digits-classifier", "1.9.0", "nothing.bin") is None


def test_who_comes_second_loses_and_the_first_is_whole(place, monkeypatch):
    """The second one is done while the first uploads."""
    name = f"m-{uuid.uuid4().hex}"
    slow, quick = MlflowRegistry(place), MlflowRegistry(place)
    create = slow.client.create_model_version

    def overtaken(*given):
        quick.put(name, "1.0.0", {"manifest.json": b"quick", "x/y": b"quick"})
        return create(*given)

    monkeypatch.setattr(slow.client, "create_model_version", overtaken)
    with pytest.raises(ConfigError, match="already"):
        slow.put(name, "1.0.0", {"manifest.json": b"slow", "x/y": b"slow"})
    assert [quick.read(name, "1.0.0", path) for path in ("manifest.json", "x/y")] == [b"quick"] * 2
    assert quick.versions(name) == ["1.0.0"]


def test_an_upload_that_breaks_off_leaves_nothing_to_be_seen(place, monkeypatch):
    name = f"m-{uuid.uuid4().hex}"
    registry = MlflowRegistry(place)

    def broken(*given):
        raise ConnectionError("the line went dead")

    monkeypatch.setattr(registry.client, "log_artifacts", broken)
    with pytest.raises(EdgekdError, match="cannot be written") as caught:
        registry.put(name, "1.0.0", {"manifest.json": b"x"})
    assert "line went dead" in caught.value.where
    assert registry.versions(name) == [] and registry.read(name, "1.0.0", "manifest.json") is None


def test_without_its_client_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match="client") as caught:
        registry_at("mlflow+https://mlflow.example.com")
    assert "edgekd[mlflow]" in caught.value.fix


def test_a_server_that_is_not_there_is_told(monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with pytest.raises(EdgekdError, match=r"cannot be read") as told:
        registry_at("mlflow+http://127.0.0.1:1").versions("digits")
    assert "mlflow+http://127.0.0.1:1" in str(told.value)
