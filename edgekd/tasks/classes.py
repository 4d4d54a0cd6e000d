"""Classes of a teacher and of the data, compared by name."""

from __future__ import annotations

from edgekd.errors import StageError


def labels_differ(theirs: tuple[str, ...], ours: tuple[str, ...], where: str) -> StageError:
    """The error of a teacher with other classes than the data, in a few of their names."""
    only = [name for name in theirs if name not in ours]
    lacking = [name for name in ours if name not in theirs]
    told = [
        f"{what} {', '.join(map(repr, names[:4]))}{' ...' if len(names) > 4 else ''}"
        for what, names in (("only the teacher knows", only), ("only the data has", lacking))
        if names
    ]
    return StageError(
        "The teacher's classes are not those of the data.",
        where=f"{where}: {'; '.join(told)}",
        fix="give the data that it was trained on, or a teacher of these classes",
    )
