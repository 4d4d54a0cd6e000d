"""How databases are named, and what is told of one that cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from postgres_server import PASSWORD, needs_postgres, postgres

from edgekd.database import engine_options, explained, read_url, shown
from edgekd.errors import ConfigError


def connect(url: str) -> None:
    """Opens a database as Optuna and edgekd do."""
    import sqlalchemy

    with explained(url, "It cannot be opened."):
        engine = sqlalchemy.create_engine(url, **engine_options(url))
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS a (b INTEGER)"))
        engine.dispose()


def test_a_file_and_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_url("a.db") == f"sqlite:///{tmp_path / 'a.db'}"
    assert read_url("sqlite:////x/a") == "sqlite:////x/a"
    for named in ("postgresql://me:p%40ss@db:5/x", "postgres://me:p%40ss@db:5/x"):
        assert read_url(named) == "postgresql+psycopg://me:p%40ss@db:5/x"
    assert shown(read_url("postgresql://me:p%40ss@db/x?password=p")) == (
        "postgresql+psycopg://me:***@db/x"
    )
    connect(read_url("a.db"))
    assert (tmp_path / "a.db").is_file()


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ("results.json", "neither a SQLite file nor"),
        ("mysql://me:secret@db/x", "SQLite or PostgreSQL"),
        ("postgresql+psycopg2://me:secret@db/x", "SQLite or PostgreSQL"),
        ("postgresql://me@db:secret/x", "cannot be read"),
    ],
)
def test_what_names_no_database_is_refused_without_the_password(named: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        read_url(named)
    assert "sec" not in str(caught.value).partition("fix:")[0]


def test_a_file_that_cannot_be_made_or_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="its folder is there"):
        connect(read_url(str(tmp_path / "none" / "a.db")))
    (tmp_path / "a.db").write_text("these are notes of mine, and no database" * 30)
    with pytest.raises(ConfigError, match="file is not a database"):
        connect(read_url(str(tmp_path / "a.db")))


def test_without_the_driver_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"edgekd\[postgresql\]") as caught:
        connect(read_url("postgresql://me:secret@127.0.0.1/x"))
    assert "secret" not in str(caught.value)


def test_an_import_that_fails_within_is_not_the_databases() -> None:
    with pytest.raises(ImportError), explained("sqlite://", "It was lost."):
        raise ImportError("No module named 'onnx'")


@needs_postgres
def test_a_server_that_is_away_or_knows_another_password() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with postgres() as server:
        connect(read_url(server.url()))
        with pytest.raises(ConfigError, match="password authentication failed") as caught:
            connect(read_url(server.url("rosebud")))
        assert "rosebud" not in str(caught.value)
        server.stop()
        with pytest.raises(ConfigError, match="Connection refused") as caught:
            connect(read_url(server.url()))
        assert PASSWORD not in str(caught.value)
