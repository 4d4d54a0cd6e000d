"""`edgekd data`: what a source holds, told before anything is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import AudioFolderData, FolderData, ImageFolderData, NpzData
from edgekd.data import npz, sound, table_file
from edgekd.data.archive import Files
from edgekd.data.checks import some
from edgekd.data.dataset import Dataset
from edgekd.data.inspect_series import inspect_series
from edgekd.data.inspect_table import inspect_table
from edgekd.data.listing import Item, check_classes, check_empty, find_items
from edgekd.data.sheet import Row, draw_sheet, heat, sample, spread
from edgekd.data.survey import Picture, Recording, Survey, shown, survey
from edgekd.errors import DataError
from edgekd.spec import InputSpec, Task

BARS = "▁▂▃▄▅▆▇█"
LISTED = 10
"""Broken files and duplicates that are named."""


def inspect(
    path: Path,
    *,
    label: str | None = None,
    size: tuple[int, int] | None = None,
    sheet: Path | None = None,
    window: int | None = None,
) -> Iterator[str]:
    """Lines about a folder, .zip or .npz file, and about what of it would stop a run.

    Args:
        label: expression that finds a recording's class in its name; of a table, the column of
            its label, or else the last one.
        size: height and width that pictures have on the sheet.
        sheet: a .png file for a contact sheet, a row a class.
        window: the table is a signal with a row a step, and a window has so many of them.

    Raises:
        DataError: the source cannot be used at all; says why.
    """
    path = path.absolute()
    if window is not None:
        yield from inspect_series(path, label, window)
        return
    if path.suffix.lower() in table_file.SUFFIXES:
        yield from inspect_table(path, label)
        return
    if path.suffix.lower() == ".npz":
        yield from _arrays(npz.load(NpzData(path=path), path.parent), sheet)
        return
    with Files(path) as files:
        settings = _guess(files, label, size)
        items, notes, empty = find_items(files, settings)
        made = survey(files, items, settings)
        what = "recordings" if isinstance(settings, AudioFolderData) else "pictures"
        classes = len({item.label for item in items})
        yield f"{path.name}: {len(items):,} {what} of {classes} classes"
        yield from _counts(items)
        yield from _recordings(made) if what == "recordings" else _pictures(made)
        yield from (f"note: {note}" for note in notes)
        yield from _problems(made, empty, str(path))
        if sheet is not None:
            draw_sheet(f"{path.name}: {len(items):,} {what}", _rows(files, made, settings), sheet)
            yield f"sheet: {sheet}"


def _guess(files: Files, label: str | None, size: tuple[int, int] | None) -> FolderData:
    names = [name.lower() for name in files.names]
    if sum(name.endswith((*sound.WAV, *sound.OTHERS)) for name in names) * 2 > len(names):
        return AudioFolderData(path=files.path, label=label)
    return ImageFolderData(path=files.path, size=size)


def _counts(items: Sequence[Item]) -> Iterator[str]:
    """A line a class; in one column where the folder has no parts."""
    present = {item.part for item in items}
    parts = [part for part in ("train", "validation", "test") if part in present]
    counted = Counter((item.label, item.part) for item in items)
    heads = parts if len(parts) > 1 else ["files"]
    yield f"{'class':20} " + " ".join(f"{head:>10}" for head in heads)
    for name in sorted({item.label for item in items}):
        yield f"{name:20} " + " ".join(f"{counted[name, part]:10,}" for part in parts)


def _pictures(made: Survey) -> Iterator[str]:
    found = [picture for picture in made.found.values() if isinstance(picture, Picture)]
    if not found:
        return
    sizes = Counter((picture.width, picture.height) for picture in found)
    (width, height), often = sizes.most_common(1)[0]
    if len(sizes) == 1:
        yield f"size: all are {width} x {height}"
    else:
        longer = np.array([max(picture.width, picture.height) for picture in found])
        yield (
            f"size: {len(sizes)} sizes, most often {width} x {height} ({often / len(found):.0%}); "
            f"longer side {_spread(longer, '{:.0f}', 'pixels')}"
        )
        yield "      set data.size: [height, width]"
    colour = sum(picture.colour for picture in found)
    yield f"colour: {colour:,} in colour, {len(found) - colour:,} grey"


def _recordings(made: Survey) -> Iterator[str]:
    found = [recording for recording in made.found.values() if isinstance(recording, Recording)]
    if not found:
        return
    yield f"duration: {_spread(np.array([r.seconds for r in found]), '{:.2f}', 's')}"
    rates = Counter(recording.rate for recording in found)
    channels = Counter(recording.channels for recording in found)
    yield "rate: " + ", ".join(f"{rate} Hz ({count:,})" for rate, count in rates.most_common())
    yield "channels: " + ", ".join(f"{n} ({count:,})" for n, count in channels.most_common())


def _spread(values: np.ndarray, form: str, unit: str) -> str:
    """Smallest, median, largest, and a histogram of the values between the 1st and 99th
    percentile, those beyond it at its ends.
    """
    low, middle, high = (form.format(v) for v in (values.min(), np.median(values), values.max()))
    ends = np.percentile(values, [1, 99])
    if ends[0] == ends[1]:
        return f"{low} to {high} {unit}, median {middle}"
    counts, _ = np.histogram(values.clip(*ends), 16, tuple(ends))
    bars = "".join(BARS[round(7 * count / counts.max())] for count in counts)
    return f"{low} to {high} {unit}, median {middle}  {bars}"


def _problems(made: Survey, empty: Sequence[str], where: str) -> Iterator[str]:
    """What would stop a run, or should be known."""
    stops: tuple[Callable[[], None], ...] = (
        lambda: check_empty(empty, where),
        lambda: check_classes(made.items, where),
    )
    for check in stops:
        try:
            check()
        except DataError as error:
            yield f"stops a run: {error.what} ({error.where})"
    if made.broken:
        listed = some([f"{name} ({made.broken[name]})" for name in sorted(made.broken)], LISTED)
        yield f"stops a run, without skip_broken: {_files(len(made.broken))} broken: {listed}"
    twice = defaultdict(list)
    for first, other in made.twice():
        kind = "parts" if first.part != other.part else "classes" if _differ(first, other) else ""
        twice[kind].append(f"{first.name} = {other.name}")
    for kind, told in (
        ("parts", "stops a run, without allow_duplicates: {} the same in two parts: {}"),
        ("classes", "note: {} the same in two classes: {}"),
        ("", "note: {} the same as another of the class: {}"),
    ):
        if twice[kind]:
            yield told.format(_files(len(twice[kind])), some(twice[kind], LISTED))


def _files(count: int) -> str:
    return f"{count:,} files are" if count > 1 else "1 file is"


def _differ(first: Item, other: Item) -> bool:
    return first.label != other.label


def _rows(files: Files, made: Survey, settings: FolderData) -> list[Row]:
    rows: list[Row] = []
    for name in sorted({item.label for item in made.items}):
        good = [i.name for i in made.items if i.label == name and i.name in made.found]
        chosen = [good[place] for place in spread(len(good))] if good else []
        count = sum(item.label == name for item in made.items)
        rows.append((name, count, [shown(files.read(one), one, settings) for one in chosen]))
    return rows


def _arrays(dataset: Dataset, sheet: Path | None) -> Iterator[str]:
    """Lines about a data set that is whole."""
    spec = dataset.spec
    if not isinstance(spec, InputSpec):
        raise DataError("Samples of several inputs cannot be shown.", where=dataset.name)
    classes = dataset.task in ("classification", "binary")
    word = "class" if classes else "label" if dataset.task == "multilabel" else "target"
    ending = "" if dataset.classes == 1 else "es" if classes else "s"
    yield (
        f"{dataset.name}: {dataset.task}, {dataset.classes} {word}{ending}, {spec.kind} samples of "
        f"shape {spec.shape}"
    )
    splits = dataset.splits
    yield f"{word:20} " + " ".join(f"{name:>10}" for name in splits)
    for number, name in enumerate(dataset.labels):
        cells = [_told(split.y, number, dataset.task) for split in splits.values()]
        yield f"{name:20} " + " ".join(f"{cell:>10}" for cell in cells)
    if not classes:
        yield f"{'samples':20} " + " ".join(f"{len(split):10,}" for split in splits.values())
    yield from (f"note: {warning}" for warning in dataset.warnings)
    if sheet is not None:
        draw_sheet(dataset.name, _sample_rows(dataset, classes), sheet)
        yield f"sheet: {sheet}"


def _told(y: NDArray[Any], number: int, task: Task) -> str:
    """Samples of a class or with a label; of a regression's target, its mean and deviation."""
    if task == "regression":
        return f"{y[:, number].mean():.4g} ± {y[:, number].std():.2g}"
    return f"{int((y[:, number] > 0 if task == 'multilabel' else y == number).sum()):,}"


def _sample_rows(dataset: Dataset, classes: bool) -> list[Row]:
    x, y = dataset.train.x, dataset.train.y
    low, high = float(x.min()), float(x.max())
    rows: list[Row] = []
    for number, name in enumerate(dataset.labels if classes else ("samples",)):
        places = np.flatnonzero(y == number) if classes else np.arange(len(x))
        chosen = places[spread(len(places))]
        audio = dataset.spec.kind == "audio"
        tiles = [heat(x[i][0]) if audio else sample(x[i], low, high) for i in chosen]
        rows.append((name, len(places), tiles))
    return rows
