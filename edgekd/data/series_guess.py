"""What the columns of a signal's table are, for `edgekd data` and `edgekd init`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import SeriesData
from edgekd.data.table_columns import kinds
from edgekd.data.table_file import Table, numbers

LEAST_GROUPS = 3
"""One for each part."""


def guess(table: Table, label: str | None, window: int) -> SeriesData:
    """Settings for a table over time.

    The label is the last column unless it is given. A column of text that stays the same for a
    window or longer, of three values or more, is the group, if there is one such column. Other
    columns of text, and numbers that rise at every step, as a clock does, are left out.

    Raises:
        DataError: there is no such column.
    """
    label = label or list(table.columns)[-1]
    table.column(label)
    names = [name for name in table.columns if name != label]
    numeric, texts = kinds(table, names, (), ())
    lasting = [name for name in texts if _lasts(table.column(name), window)]
    group = lasting[0] if len(lasting) == 1 else None
    clocks = [name for name in numeric if (np.diff(numbers(table.column(name))) > 0).all()]
    drop = [name for name in names if name in clocks or (name in texts and name != group)]
    return SeriesData.model_validate(
        {"path": table.where, "label": label, "group": group, "drop": drop, "window": window}
    )


def _lasts(texts: NDArray[Any], window: int) -> bool:
    runs = 1 + int((texts[1:] != texts[:-1]).sum())
    return len(np.unique(texts)) >= LEAST_GROUPS and len(texts) >= runs * window
