"""The pipeline file that `edgekd init` writes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.config.data import (
    AudioFolderData,
    ImageFolderData,
    NpzData,
    SeriesData,
    TableData,
)
from edgekd.data.guess import Guessed, Kind, guess_source
from edgekd.errors import ConfigError
from edgekd.schema import schema_text
from edgekd.starter import blocks
from edgekd.store import write_atomic

SCHEMA_FILE = "pipeline.schema.json"


@dataclass(frozen=True)
class _Block:
    """What a source puts into the file."""

    data: str
    teacher: str = "resnet20"
    student: str = "dscnn"


def write_starter(
    output: Path,
    data: Path | None,
    window: int | None = None,
    *,
    label: str | None = None,
    size: tuple[int, int] | None = None,
    kind: Kind | None = None,
) -> None:
    """Writes a commented pipeline file for `data` (or the digits), and the schema beside it.

    Args:
        window: the data is a signal with a row a step, and a window has so many of them.
        label: of a table, the column that is to be told, the last one if left out; of recordings,
            the expression that finds the class in a file's name.
        size: height and width of pictures; left out, the commonest.
        kind: what samples of three axes in an .npz file are; told by their shape if left out.

    Raises:
        ConfigError: `output` exists.
        DataError: `data` cannot be used, said now rather than after the file is written.
    """
    if output.exists():
        raise ConfigError(
            "This file exists already.", where=str(output), fix="name another file to write"
        )
    name, block = "digits", _Block(blocks.DIGITS)
    if data is not None:
        source = guess_source(data, label=label, size=size, window=window, kind=kind)
        written = json.dumps(os.path.relpath(data.absolute(), output.absolute().parent))
        name, block = _name(data), _block(source, written)
    output.parent.mkdir(parents=True, exist_ok=True)
    text = blocks.TEMPLATE.format(
        schema=SCHEMA_FILE,
        file=output.name,
        name=name,
        data=block.data,
        teacher=block.teacher,
        student=block.student,
    )
    write_atomic(output.with_name(SCHEMA_FILE), schema_text("pipeline"))
    write_atomic(output, text)


def _block(source: Guessed, path: str) -> _Block:
    """The data block, teacher and student that suit a source.

    Args:
        path: of the data, relative to the pipeline file, as YAML.

    Raises:
        DataError: the data cannot be used.
    """
    if isinstance(source, ImageFolderData):
        return _pictures(source, path)
    if isinstance(source, AudioFolderData):
        return _recordings(source, path)
    from edgekd.data.sources import load_source

    dataset = load_source(source, Path.cwd())
    if isinstance(source, TableData):
        text = blocks.TABLE.format(path=path, label=_yaml(source.label[0]))
        return _Block(text, "tablemlp", "tablemlp")
    if isinstance(source, NpzData):
        is_image = dataset.spec.kind == "image"
        text = blocks.NPZ.format(path=path, augment=blocks.AUGMENT if is_image else "")
        return _Block(text) if is_image else _Block(text, "mlp", "mlp")
    if source.of_windows:
        steps = dataset.spec.inputs[0].shape[1]
        text = blocks.WINDOWS.format(path=path, layout=source.layout, shift=steps // 8)
    else:
        text = _series(source, path)
    return _Block(text, "cnn1d", "cnn1d")


def _series(found: SeriesData, path: str) -> str:
    """A table over time, with what its columns look like."""
    columns = (
        f"  group: {_yaml(found.group)}         # stays on one side of every split\n"
        if found.group
        else "  # group: ...           # a column, such as a machine, that no two parts share\n"
    )
    if found.drop:
        columns += f"  drop: {_yaml(found.drop)}\n"
    return blocks.SERIES.format(
        path=path,
        label=_yaml(found.label[0]),
        columns=columns,
        window=found.window,
        stride=found.step,
        shift=found.window // 8,
    )


def _pictures(source: ImageFolderData, path: str) -> _Block:
    from collections import Counter

    from edgekd.data.survey import Picture, survey_folder

    found = [one for one in survey_folder(source).found.values() if isinstance(one, Picture)]
    sizes = Counter((one.height, one.width) for one in found)
    common = source.size or (sizes.most_common(1)[0][0] if sizes else (32, 32))
    needed = source.size is not None or len(sizes) > 1
    line = f"  size: {list(common)}         # height and width that pictures are brought to\n"
    shift = max(1, min(common) // 8)
    return _Block(blocks.PICTURES.format(path=path, size=line if needed else "", shift=shift))


def _recordings(source: AudioFolderData, path: str) -> _Block:
    import numpy as np

    from edgekd.data.survey import Recording, survey_folder

    found = [one for one in survey_folder(source).found.values() if isinstance(one, Recording)]
    longest = float(np.percentile([one.seconds for one in found], 90)) if found else 1.0
    seconds = min(60.0, max(0.1, round(longest, 1)))
    line = f"  label: {_yaml(source.label)}   # its first group is the class\n"
    text = blocks.RECORDINGS.format(path=path, label=line if source.label else "", seconds=seconds)
    return _Block(text, "resnet8", "kws_dscnn")


def _yaml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _name(data: Path) -> str:
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in data.stem).strip("._-")
    return name or "mine"
