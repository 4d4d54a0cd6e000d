"""`edgekd data` of a folder or .zip of pictures or recordings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgekd.config.data import AudioFolderData, FolderData
from edgekd.data.archive import Files
from edgekd.data.checks import some
from edgekd.data.listing import Item, check_classes, check_empty, find_items
from edgekd.data.sheet import Row, draw_sheet, spread
from edgekd.data.survey import Picture, Recording, Survey, shown, survey
from edgekd.errors import DataError

BARS = "▁▂▃▄▅▆▇█"
LISTED = 10
"""Broken files and duplicates that are named."""


def inspect_folder(settings: FolderData, sheet: Path | None) -> Iterator[str]:
    """Lines about a folder or .zip, and about what of it would stop a run.

    Args:
        settings: `path` is absolute.
        sheet: a .png file for a contact sheet, a row a class.

    Raises:
        DataError: no file in it is a sample, or a sample has no class.
    """
    path = settings.path
    with Files(path) as files:
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
