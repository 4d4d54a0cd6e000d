"""`edgekd data`: what is told of folders, good and bad, and the contact sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from edgekd.data import sheet
from edgekd.data.inspect import inspect
from edgekd.errors import DataError

COLOURS = {"Äpfel grün": (0, 200, 0), "pears": (230, 210, 0)}


def fruit(root: Path, parts: tuple[str, ...] = ("",), each: int = 6) -> Path:
    rng = np.random.default_rng(0)
    for part in parts:
        for label, colour in COLOURS.items():
            folder = root / part / label
            folder.mkdir(parents=True)
            for i in range(each):
                height = 8 if i % 3 else 16
                pixels = np.empty((height, 12, 3), np.uint8)
                pixels[:] = colour
                pixels[0] = rng.integers(0, 256, (12, 3))
                Image.fromarray(pixels).save(folder / f"no {i}.png")
    return root


def told(path: Path, **options: object) -> str:
    return "\n".join(inspect(path, **options))  # type: ignore[arg-type]


def test_pictures_of_many_sizes_are_counted_and_measured(tmp_path: Path) -> None:
    root = fruit(tmp_path / "fruit")
    Image.new("L", (12, 8), 30).save(root / "pears" / "grey.png")
    text = told(root)
    assert "fruit: 13 pictures of 2 classes" in text
    assert [line.split()[-1] for line in text.splitlines() if line[:5] in ("pears", "Äpfel")] == [
        "7",
        "6",
    ]
    assert "2 sizes, most often 12 x 8 (69%)" in text and "12 to 16 pixels, median 12" in text
    assert "12 in colour, 1 grey" in text and "stops a run" not in text


def test_everything_that_would_stop_a_run_is_told_at_once(tmp_path: Path) -> None:
    root = fruit(tmp_path / "fruit", ("train", "test"))
    (root / "train" / "pears" / "half ü.png").write_bytes(b"no")
    twin = root / "test" / "pears" / "twin.png"
    twin.write_bytes((root / "train" / "pears" / "no 1.png").read_bytes())
    wrong = root / "train" / "Äpfel grün" / "wrong.png"
    wrong.write_bytes((root / "train" / "pears" / "no 2.png").read_bytes())
    (root / "train" / "plums").mkdir()
    (root / "test" / "figs").mkdir()
    Image.new("RGB", (12, 8)).save(root / "test" / "figs" / "x.png")
    text = told(root)
    assert "test/figs" not in text and "'plums' is empty" in text
    assert "test has figs in addition" in text
    assert "1 file is broken: train/pears/half ü.png" in text
    assert "in two parts: test/pears/twin.png = train/pears/no 1.png" in text
    assert "in two classes: train/pears/no 2.png = train/Äpfel grün/wrong.png" in text
    heads = next(line for line in text.splitlines() if line.startswith("class "))
    assert heads.split() == ["class", "train", "test"]


def test_recordings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        rate = 16000 if i == 11 else 8000
        shape = (int(rate * 0.1 * (i + 1)), 2) if i == 10 else int(rate * 0.1 * (i + 1))
        noise = rng.integers(-9999, 9999, shape).astype(np.int16)
        wavfile.write(tmp_path / f"{i % 2}_{i}.wav", rate, noise)
    wavfile.write(tmp_path / "0_leer.wav", 8000, np.zeros(0, np.int16))
    text = told(tmp_path, label="^([01])_", sheet=tmp_path / "s.png")
    assert "0.10 to 1.20 s, median 0.65" in text
    assert "rate: 8000 Hz (11), 16000 Hz (1)" in text and "channels: 1 (11), 2 (1)" in text
    assert "0_leer.wav (it has 0 samples)" in text
    assert np.asarray(Image.open(tmp_path / "s.png")).std() > 20
    with pytest.raises(DataError, match=r"lies in no class's folder"):
        told(tmp_path)


def test_the_sheet_has_a_row_a_class_with_tiles_of_its_samples(tmp_path: Path) -> None:
    root = fruit(tmp_path / "fruit")
    (root / "pears" / "bad.png").write_bytes(b"no")
    told(root, sheet=tmp_path / "sheet.png")
    page = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    rows = {label: [] for label in COLOURS}
    for label, colour in COLOURS.items():
        near = (np.abs(page - colour).sum(2) < 30).nonzero()
        rows[label] = [near[0].min(), near[0].max()]
        assert near[1].max() - near[1].min() > 5 * sheet.TILE
    assert rows["pears"][1] < rows["Äpfel grün"][0], "classes are in the order of their names"
    told(root, size=(4, 4), sheet=tmp_path / "small.png")
    assert Image.open(tmp_path / "small.png").size == Image.open(tmp_path / "sheet.png").size


def test_arrays_are_shown_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 6, 6, 3)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(40) % 2)
    text = told(tmp_path / "a.npz", sheet=tmp_path / "a.png")
    assert "2 classes, image samples of shape (3, 6, 6)" in text
    assert Image.open(tmp_path / "a.png").width > 12 * sheet.TILE
    np.savez(tmp_path / "r.npz", x=rng.normal(size=(40, 5)), y=rng.normal(size=40))
    assert "regression" in told(tmp_path / "r.npz", sheet=tmp_path / "r.png")


def test_samples_on_the_sheet_are_spread_over_the_class() -> None:
    assert sheet.spread(3).tolist() == [0, 1, 2]
    chosen = sheet.spread(1000)
    assert len(chosen) == sheet.COLUMNS and chosen[0] == 0 and chosen[-1] == 999
