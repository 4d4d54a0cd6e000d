"""Every source of the settings has a module that reads it."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import get_args

from edgekd import keys
from edgekd.config.data import DataSettings
from edgekd.data.sources import SOURCES
from edgekd.pipeline import resolve
from edgekd.plan import make_plan


def test_every_source_has_its_module():
    (union, *_) = get_args(DataSettings)
    named = {kind.model_fields["source"].default for kind in get_args(union)}
    assert named == set(SOURCES)
    for name in SOURCES.values():
        module = import_module(f"edgekd.data.{name}")
        for function in ("load", "source_fingerprint"):
            inspect.signature(getattr(module, function)).bind("settings", "base")


def _data_key(source: dict[str, str]) -> str:
    pipeline, base = resolve({"name": "a", "data": source})
    return make_plan(pipeline, base)[0].key


def test_an_edit_of_a_reader_remakes_its_own_data_and_no_other(monkeypatch):
    digits, wine = {"source": "digits"}, {"source": "table", "sklearn": "wine"}
    before = _data_key(digits), _data_key(wine)
    source_of = keys.source_of

    def edited(module: str) -> tuple[str, frozenset[str], frozenset[str]]:
        code, ours, others = source_of(module)
        return "edited" if module == "edgekd.data.table_columns" else code, ours, others

    monkeypatch.setattr(keys, "source_of", edited)
    monkeypatch.setattr(keys, "code_key", keys.code_key.__wrapped__)
    monkeypatch.setattr("edgekd.plan.code_key", keys.code_key)
    assert _data_key(digits) == before[0]
    assert _data_key(wine) != before[1]
