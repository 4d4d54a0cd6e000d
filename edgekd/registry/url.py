"""A registry in an object store, by a URL that fsspec knows. Such a store cannot rename a folder,
so the files of a version go where nobody else writes to, and a record, written last, names it:

NAME/uploads/RANDOM/...   the files
NAME/VERSION.json         {"format_version": 1, "upload": RANDOM}: with it, the version is there
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edgekd.errors import ConfigError, EdgekdError
from edgekd.registry.stores import taken, unreachable
from edgekd.store import parse_json

FORMAT_VERSION = 1
UPLOAD = re.compile(r"[0-9a-f]{32}")
T = TypeVar("T")


class UrlRegistry:
    """See the module.

    Raises:
        ConfigError: fsspec, or what it needs for this kind of URL, is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise ConfigError(
                "A registry at a URL needs fsspec.",
                where=url,
                fix='pip install "edgekd[registry]", or give a folder',
            ) from error
        try:
            self.files, self.root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"fsspec cannot reach this kind of URL: {error}.",
                where=url,
                fix="pip install s3fs for s3://, gcsfs for gs://, adlfs for abfs://",
            ) from error
        self.place = url

    def versions(self, name: str) -> list[str]:
        """See `Registry.versions`."""
        self.files.invalidate_cache()
        listed = self._ask("read", lambda: self.files.ls(self._path(name), detail=False))
        names = [str(path).rstrip("/").rsplit("/", 1)[-1] for path in listed or ()]
        return [each.removesuffix(".json") for each in names if each.endswith(".json")]

    def put(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        """See `Registry.put`. That one of several writers wins hangs on the store's own creation
        of a file only where there is none; the record is read again to see who did."""
        record = self._path(name, f"{version}.json")
        if self._ask("read", lambda: self.files.exists(record)):
            raise taken(name, version, self.place)
        upload = uuid.uuid4().hex
        for path, content in files.items():
            self._write(self._path(name, "uploads", upload, path), content)
        told = json.dumps({"format_version": FORMAT_VERSION, "upload": upload}).encode()
        try:
            self._write(record, told, mode="create")
        except FileExistsError as error:
            raise taken(name, version, self.place) from error
        if self._upload(name, version) != upload:
            raise taken(name, version, self.place)

    def read(self, name: str, version: str, path: str) -> bytes | None:
        """See `Registry.read`."""
        upload = self._upload(name, version)
        if upload is None:
            return None
        return self._cat(self._path(name, "uploads", upload, path))

    def _upload(self, name: str, version: str) -> str | None:
        """Where the files of a version lie."""
        record = self._path(name, f"{version}.json")
        content = self._cat(record)
        if content is None:
            return None
        try:
            upload = str(parse_json(content)["upload"])
        except (ValueError, KeyError, TypeError):
            upload = ""
        if not UPLOAD.fullmatch(upload):
            raise EdgekdError("The registry's record of this version is broken.", where=record)
        return upload

    def _path(self, *parts: str) -> str:
        return "/".join([self.root.rstrip("/"), *parts])

    def _cat(self, path: str) -> bytes | None:
        return self._ask("read", lambda: self.files.cat_file(path))

    def _write(self, path: str, content: bytes, **mode: Any) -> None:
        # No folder is made first: object stores have none, and s3fs would make a bucket.
        self._ask("written", lambda: self.files.pipe_file(path, content, **mode))

    def _ask(self, done: str, ask: Callable[[], T]) -> T | None:
        """None where there is nothing; every library of a store has errors of its own."""
        try:
            return ask()
        except FileExistsError:
            raise
        except FileNotFoundError:
            if done == "read":
                return None
            raise EdgekdError("The registry does not exist.", where=self.place) from None
        except Exception as error:
            raise unreachable(done, self.place, error) from error
