"""`--data` of the command line: one word for every source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.config.base import Settings
from edgekd.config.data import DataSettings
from edgekd.config.load import load_pipeline, validate
from edgekd.data.dataset import Dataset
from edgekd.data.guess import guess_source
from edgekd.data.sources import load_source
from edgekd.data.table_file import SUFFIXES
from edgekd.errors import DataError

SIZED = ("image_folder", "huggingface", "torchvision", "webdataset")
"""Sources whose pictures are brought to a size."""


def data_fields(source: str, window: int | None = None) -> dict[str, Any]:
    """--data as `data`, with absolute paths: a name such as digits, a pipeline file, whose data is
    taken, or a file or folder that `guess_source` knows.

    Args:
        window: steps that the model looks at, where it takes a signal: a table is then cut in
            windows.

    Raises:
        EdgekdError: there is no such thing.
    """
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        return _of_pipeline(path)
    if not path.exists() and not path.suffix:
        return {"source": source}
    tabular = path.suffix.lower() in SUFFIXES
    found = guess_source(path, window=window if tabular else None)
    return found.model_dump(mode="json", exclude_defaults=True) | {"source": found.source}


def _of_pipeline(path: Path) -> dict[str, Any]:
    pipeline, base = load_pipeline(path)
    data = pipeline.data
    fields = data.model_dump(mode="json", exclude_defaults=True) | {"source": data.source}
    root = fields.pop("root", None)
    start = base if root is None else Path.cwd() / Path(root).expanduser()
    for name in ("path", "test_file"):
        if name in fields:
            fields[name] = str((start / fields[name]).absolute())
    if ".py:" in fields.get("python", ""):
        fields["python"] = str((base / fields["python"]).absolute())
    if str(fields.get("name", "")).startswith("."):
        fields["name"] = str((base / fields["name"]).absolute())
    return fields


class _Data(Settings):
    """What `--data` becomes."""

    data: DataSettings
    """The source."""


def named_settings(
    source: str, *, label: Sequence[str] = (), size: tuple[int, int] | None = None
) -> DataSettings:
    """The settings of the data set that `--data` names; see `named_data`.

    Raises:
        EdgekdError: there is no such thing.
    """
    fields = data_fields(source)
    if label:
        if fields["source"] != "table":
            raise DataError("Only a table has a column of labels.", where=f"--label; {source}")
        fields["label"] = list(label)
    if size is not None and fields["source"] in SIZED:
        fields.setdefault("size", list(size))
    return validate(_Data, {"data": fields}).data


def named_data(
    source: str, *, label: Sequence[str] = (), size: tuple[int, int] | None = None
) -> Dataset:
    """The data set that `--data` names.

    Args:
        label: a table's columns of the answers, where that is not the last one.
        size: height and width that pictures are brought to, where the source does not say.

    Raises:
        EdgekdError: there is no such thing, or it cannot be used.
    """
    return load_source(named_settings(source, label=label, size=size), Path.cwd())
