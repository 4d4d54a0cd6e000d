"""Every source of the settings has a module that reads it."""

from __future__ import annotations

import inspect
from typing import get_args

from edgekd.config.data import DataSettings
from edgekd.data.sources import SOURCES


def test_every_source_has_its_module():
    (union, *_) = get_args(DataSettings)
    named = {kind.model_fields["source"].default for kind in get_args(union)}
    assert named == set(SOURCES)
    for module in SOURCES.values():
        for name in ("load", "source_fingerprint"):
            inspect.signature(getattr(module, name)).bind("settings", "base")
