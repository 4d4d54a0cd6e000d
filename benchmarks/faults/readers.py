"""Every reader of what edgekd does not trust, by name: what it is given, and what it may raise.

A reader gets the path of a file in a folder of its own. It may raise `EdgekdError`, and where its
caller in edgekd turns others into one, those.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).resolve().parents[2] / "tests" / "faults" / "corpus"
"""A folder a reader: `seed*` are whole files, `found*` are what once went wrong."""


@dataclass(frozen=True)
class Reader:
    """A reader and the name that its file has."""

    read: Callable[[Path], Any]
    file: str
    allowed: tuple[type[BaseException], ...] = ()
    """What is turned into an `EdgekdError` by the only caller."""
    starts: bool = False
    """Whether it starts a process of its own, which takes a second."""


def seeds(name: str) -> list[bytes]:
    """The kept inputs of a reader, those that once went wrong included."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def _pipeline(path: Path) -> None:
    from edgekd.config.load import load_pipeline

    load_pipeline(path)


def _device(path: Path) -> None:
    from edgekd.config.load import load_device

    load_device(path)


def _npz(path: Path) -> None:
    from edgekd.config.data import NpzData
    from edgekd.data import npz

    npz.load(NpzData(path=path), path.parent)


def _picture(path: Path) -> None:
    from edgekd.config.data import ImageFolderData
    from edgekd.data import pictures

    pictures.decode(path.read_bytes(), ImageFolderData(path=path.parent, size=(16, 16)))


def _picture_of_predict(path: Path) -> None:
    from edgekd.runtimes.inputs import read_samples
    from edgekd.spec import InputSpec

    spec = InputSpec(kind="image", shape=(3, 8, 8), mean=(0.0,) * 3, std=(1.0,) * 3, peak=255.0)
    read_samples(path, spec)


def _recording(path: Path) -> None:
    from edgekd.config.data import AudioFolderData
    from edgekd.data import sound

    rate, _channels, mono = sound.decode(path.read_bytes(), path.name)
    spec = sound.sound_spec(AudioFolderData(path=path.parent, rate=8000), 8000)
    sound.features(mono[: int(rate * spec.samples / spec.rate) + rate], rate, spec)


def _row(path: Path) -> None:
    from edgekd.runtimes.inputs import read_samples
    from edgekd.spec import InputSpec

    read_samples(path, InputSpec(kind="row", shape=(4,), mean=(0.0,) * 4, std=(1.0,) * 4))


def _table(path: Path) -> None:
    from edgekd.data.table_file import numbers, read_table

    found = read_table(path)
    for column in found.columns.values():
        numbers(column)


def _archive(path: Path) -> None:
    from edgekd.data.archive import Files

    with Files(path) as files:
        for name in files.names:
            files.read(name)


def _onnx(path: Path) -> None:
    from edgekd.runtimes.check_onnx import read_onnx

    read_onnx(path)


def _tflite(path: Path) -> None:
    from edgekd.runtimes.check_tflite import check_tflite

    check_tflite(path)


def _probed(path: Path) -> None:
    from edgekd.runtimes.loaded import check_file
    from edgekd.runtimes.probe import probe

    check_file(path)
    probe(path)


def _answer(path: Path) -> None:
    from edgekd.bench.gather import gather
    from edgekd.devices.answers import read_result

    result = read_result(path.read_bytes().decode("utf-8", "replace"), "a job", 0, "")
    gather(
        [result],
        {"model": "m", "stage": "", "seed": 0, "precision": "int8", "device": "d", "bytes": 1},
    )


def _browser(path: Path) -> None:
    import json

    from edgekd.devices.browser_facts import machine_of

    told = json.loads(path.read_bytes())
    if isinstance(told, dict):  # the server refuses the rest
        machine_of(told, {})


def _manifest(path: Path) -> None:
    from edgekd.package.verify import verify

    (path.parent / "model.bin").write_bytes(b"model")
    verify(path.parent)


def _registry(path: Path) -> None:
    from edgekd.registry.folder import FolderRegistry
    from edgekd.registry.pull import pull

    place = path.parent / "registry" / "digits" / "1.0.0"
    place.mkdir(parents=True)
    shutil.copy(path, place / "manifest.json")
    (place / "model.bin").write_bytes(b"model")
    pull("digits@1.0.0", FolderRegistry(path.parent / "registry"), out=path.parent / "out")


def _summary(path: Path) -> None:
    from edgekd.pipeline import read_summary

    read_summary(path.parent)


def _bench(path: Path) -> None:
    from edgekd.bench.result import read_result

    read_result(path)


def _saved(path: Path) -> None:
    from edgekd.models import saved

    other = "model.safetensors" if path.name == "model.json" else "model.json"
    kind = "weights" if path.name == "model.json" else "saved"
    shutil.copy(CORPUS / kind / f"seed.{other.partition('.')[2]}", path.parent / other)
    saved.load(path.parent)


def _checkpoint(path: Path) -> None:
    from edgekd.train import checkpoint

    checkpoint.read(path.parent, "fingerprint")


DECODING = (ValueError, OSError)
"""`edgekd.data.decode` makes a list of broken files of these."""
READERS = {
    "pipeline": Reader(_pipeline, "p.yaml"),
    "device": Reader(_device, "d.yaml"),
    "npz": Reader(_npz, "x.npz"),
    "picture": Reader(_picture, "x.png", DECODING),
    "predicted": Reader(_picture_of_predict, "x.png"),
    "recording": Reader(_recording, "x.wav", DECODING),
    "array": Reader(_row, "x.npy"),
    "rows": Reader(_row, "x.csv"),
    "table": Reader(_table, "t.csv"),
    "zip": Reader(_archive, "x.zip", (OSError,)),
    "onnx": Reader(_onnx, "x.onnx"),
    "tflite": Reader(_tflite, "x.tflite"),
    "onnx-run": Reader(_probed, "x.onnx", starts=True),
    "tflite-run": Reader(_probed, "x.tflite", starts=True),
    "answer": Reader(_answer, "result.json"),
    "browser": Reader(_browser, "facts.json", (ValueError, RecursionError)),
    "manifest": Reader(_manifest, "manifest.json"),
    "registry": Reader(_registry, "told.json"),
    "summary": Reader(_summary, "summary.json"),
    "bench": Reader(_bench, "bench.json"),
    "saved": Reader(_saved, "model.json"),
    "weights": Reader(_saved, "model.safetensors"),
    "checkpoint": Reader(_checkpoint, "checkpoint.safetensors"),
}
