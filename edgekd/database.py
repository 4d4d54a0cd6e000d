"""Databases that a user names: a SQLite file by its path, or PostgreSQL by its URL.

Passwords are never shown: of a URL only `shown` goes into messages, and nothing writes it to a
file. They need not be in the URL: libpq reads `~/.pgpass` and PGPASSWORD.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.errors import ConfigError, EdgekdError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

FILES = (".db", ".sqlite", ".sqlite3")
"""Endings of a SQLite file that is named by its path."""
DRIVER = "postgresql+psycopg"
TIMEOUT = 120
"""Seconds that a writer waits for another one of the same SQLite file."""
CONNECT_SECONDS = 10
"""After these, a PostgreSQL server that does not answer is unreachable."""
RAISED_BY = ("sqlalchemy", "optuna", "alembic", "psycopg", "sqlite3")
"""Packages whose errors are the database's."""


def read_url(named: str) -> str:
    """The SQLAlchemy URL of what a user names, password included.

    Args:
        named: `results.db`, `sqlite:///results.db` or `postgresql://USER@HOST/DATABASE`.

    Raises:
        ConfigError: it is neither.
    """
    if "://" not in named:
        if Path(named).suffix not in FILES:
            raise ConfigError(
                "This is neither a SQLite file nor a database's URL.",
                where=named,
                fix=f"name a file that ends in {', '.join(FILES)}, or postgresql://USER@HOST/DATABASE",
            )
        return f"sqlite:///{Path(named).absolute()}"
    url = _parsed(named)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername=DRIVER)
    if url.drivername not in ("sqlite", DRIVER):
        raise ConfigError(
            "edgekd keeps what it finds in SQLite or PostgreSQL.",
            where=_without_password(url),
            fix="name a SQLite file, or postgresql://USER@HOST/DATABASE",
        )
    return url.render_as_string(hide_password=False)


def _parsed(url: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # their text may hold a part of the password
        raise ConfigError(
            "The database's URL cannot be read.",
            where=url.partition("://")[0] + "://...",
            fix="write postgresql://USER@HOST:PORT/DATABASE; of a password in it, write all but "
            "letters and digits as %XX, or leave it to ~/.pgpass",
        ) from None


def shown(url: str) -> str:
    """A URL of `read_url` for messages: without its password, wherever it stands."""
    return _without_password(_parsed(url))


def _without_password(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)


def engine_options(url: str) -> dict[str, Any]:
    """What SQLAlchemy's `create_engine` gets beside the URL."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": TIMEOUT}}
    own = _parsed(url).query
    waits = {} if "connect_timeout" in own else {"connect_timeout": CONNECT_SECONDS}
    return {"connect_args": waits, "pool_pre_ping": True}  # a server may have started anew


@contextmanager
def explained(url: str, what: str, fix: str = "") -> Iterator[None]:
    """Errors of the database as ones that say what to do.

    Args:
        url: of `read_url`.
        what: happened, where the block fails.
        fix: in place of what to look at.

    Raises:
        EdgekdError: the database cannot be opened, read or written.
    """
    try:
        yield
    except EdgekdError:
        raise
    except Exception as error:
        missing = isinstance(error, ImportError) and "psycopg" in f"{error} {error.__cause__}"
        if not missing and not type(error).__module__.startswith(RAISED_BY):
            raise
        text = "its driver is not installed" if missing else _first_line(error)
        password = _parsed(url).password
        if password:
            text = text.replace(str(password), "***")
        fix = "pip install 'edgekd[postgresql]'" if missing else fix
        raise ConfigError(
            what, where=f"{shown(url)}: {text}", fix=fix or _to_look_at(url)
        ) from error


def _to_look_at(url: str) -> str:
    if url.startswith("sqlite"):
        return "see that its folder is there and can be written to, and that it is SQLite's"
    return "see that the server runs, and that the user may connect and make tables"


def _first_line(error: Exception) -> str:
    """What happened, of an error that may have been wrapped: Optuna's says nothing of it."""
    found = error.__cause__ if type(error).__module__.startswith("optuna") else None
    return (str(found or error).splitlines() or [type(error).__name__])[0]
