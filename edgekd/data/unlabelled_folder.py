"""A folder or .zip of pictures or recordings without classes, decoded as the labelled ones are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import AudioFolderData, FolderData
from edgekd.data import sound
from edgekd.data.archive import Files
from edgekd.data.checks import some
from edgekd.data.dataset import UNLABELLED
from edgekd.data.decode import DECODED, Decoded, Decoder, rows
from edgekd.data.listing import Item
from edgekd.data.pictures import SUFFIXES as PICTURES
from edgekd.errors import DataError


def read_unlabelled(
    settings: FolderData, path: Path, folder: Path, like: Decoded, held: set[bytes]
) -> tuple[NDArray[Any], NDArray[np.str_], list[str]]:
    """Samples (M, *shape), their names, and notes on what was left out.

    Args:
        folder: where the array becomes a file.
        like: the labelled samples, whose size, colour and sampling rate these take.
        held: hashes of the contents of validation and test files, which are left out: a student
            must not have seen them.

    Raises:
        DataError: there is no sample, files cannot be read, or they do not fit to the others.
    """
    audio = isinstance(settings, AudioFolderData)
    if isinstance(settings, AudioFolderData) and like.sound is not None:
        settings = settings.model_copy(update={"rate": like.sound.rate})
    suffixes = (*sound.WAV, *sound.OTHERS) if audio else PICTURES
    with Files(path) as files:
        names = [name for name in files.names if name.lower().endswith(suffixes)]
        if not names:
            raise DataError(
                f"No file in it is a {'recording' if audio else 'picture'}.",
                where=f"data.unlabelled: {path}: {some(files.names)}",
                fix=f"edgekd reads {', '.join(suffixes)}",
            )
        decoder = Decoder(settings, files, folder)
        decoded = decoder.decode([Item(name, "train", "") for name in names])
    if decoded.x.shape[2:] != like.x.shape[2:]:
        raise DataError(
            f"Samples without classes are {decoded.x.shape[2:]}, and the others "
            f"{like.x.shape[2:]}.",
            where=f"data.unlabelled: {path}",
            fix="set data.size: [height, width]",
        )
    kept = [i for i in decoded.kept.tolist() if decoder.contents[names[i]] not in held]
    notes = list(decoded.notes)
    if len(kept) < len(decoded.kept):
        left = len(decoded.kept) - len(kept)
        notes.append(f"{left} files without classes are validation or test samples: left out")
    if not kept:
        raise DataError("No sample without a class is left.", where=f"data.unlabelled: {path}")
    same_colours = replace(decoded, grey=like.grey)
    x = rows(same_colours, np.array(kept, np.int64), folder / UNLABELLED)
    (folder / DECODED).unlink()
    ids = np.array([f"unlabelled/{names[i]}" for i in kept], np.str_)
    return x, ids, [f"unlabelled: {note}" for note in notes]
