"""What a path alone tells about a source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from edgekd.config.data import AudioFolderData, ImageFolderData, NpzData, SeriesData, TableData
from edgekd.config.load import load_pipeline
from edgekd.data.guess import guess_source, windows_layout
from edgekd.data.inspect import inspect
from edgekd.data.sources import load_source
from edgekd.errors import DataError
from edgekd.starter import write_starter


@pytest.mark.parametrize(
    ("shape", "dtype", "layout"),
    [
        ((9, 3, 128), np.float32, "NCT"),
        ((9, 1, 64), np.int16, "NCT"),
        ((9, 128, 6), np.float64, "NTC"),
        ((9, 28, 28), np.float32, None),
        ((9, 49, 40), np.float32, None),
        ((9, 8, 32), np.uint8, None),
    ],
)
def test_a_signal_is_longer_than_it_has_channels(shape, dtype, layout):
    assert windows_layout(shape, np.dtype(dtype)) == layout


def windows(path: Path, n: int = 60) -> Path:
    """Steps, then channels; the second class is the louder one."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 24, 2)) * (1 + 4 * y)[:, None, None]
    np.savez(path, x=x, y=np.array(["idle", "run"])[y])
    return path


def test_windows_in_an_npz_file(tmp_path):
    path = windows(tmp_path / "w.npz")
    found = guess_source(path)
    assert isinstance(found, SeriesData) and found.layout == "NTC"
    assert isinstance(guess_source(path, kind="images"), NpzData)
    lines = "\n".join(inspect(path, sheet=tmp_path / "sheet.png"))
    assert "windows of channels over time (NTC); --kind images" in lines
    assert "series samples of shape (2, 24)" in lines
    page = np.asarray(Image.open(tmp_path / "sheet.png"))
    for colour in ((31, 90, 166), (204, 85, 0)):  # of both channels
        assert (np.abs(page.astype(int) - colour).sum(-1) < 60).sum() > 500
    write_starter(tmp_path / "mine.yaml", path)
    written = load_pipeline(tmp_path / "mine.yaml")[0]
    assert (written.data.source, written.student.model.name) == ("series", "cnn1d")
    assert load_source(written.data, tmp_path).spec.inputs[0].shape == (2, 24)


def test_a_square_signal_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((9, 8, 8)), y=np.arange(9) % 3)
    assert isinstance(guess_source(tmp_path / "x.npz"), NpzData)
    found = guess_source(tmp_path / "x.npz", kind="series")
    assert isinstance(found, SeriesData) and found.layout == "NCT"


def test_a_sheet_of_a_signal_in_a_table_and_none_of_plain_rows(tmp_path):
    rows = [f"{np.sin(i / 3):.3f},{i % 7},{'ab'[i // 40 % 2]}" for i in range(2000)]
    (tmp_path / "t.csv").write_text("\n".join(["u,v,state", *rows]))
    sheet = tmp_path / "sheet.png"
    assert f"sheet: {sheet}" in list(inspect(tmp_path / "t.csv", window=20, sheet=sheet))
    assert Image.open(sheet).height > 2 * 72
    with pytest.raises(DataError, match="nothing to be drawn"):
        list(inspect(tmp_path / "t.csv", sheet=sheet))


def test_init_takes_the_label_of_a_table(tmp_path):
    rows = [f"{'yes' if i % 3 else 'no'},{i},{i % 5}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["bought,age,visits", *rows]))
    write_starter(tmp_path / "mine.yaml", tmp_path / "t.csv", label="bought")
    written = load_pipeline(tmp_path / "mine.yaml")[0].data
    assert isinstance(written, TableData) and written.label == ("bought",)
    with pytest.raises(DataError, match="no column 'sold'"):
        write_starter(tmp_path / "other.yaml", tmp_path / "t.csv", label="sold")


def test_init_for_pictures_and_recordings(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("cat", "dög"):
        for name in ("pictures", "sounds"):
            (tmp_path / name / kind).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 256, (12, 16 if i else 20, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / kind / f"no {i}.png")
            sound = rng.integers(-99, 99, 1600, np.int16)
            wavfile.write(tmp_path / "sounds" / kind / f"{i}.wav", 8000, sound)
    for name, kind, student in (
        ("pictures", ImageFolderData, "dscnn"),
        ("sounds", AudioFolderData, "kws_dscnn"),
    ):
        write_starter(tmp_path / f"{name}.yaml", tmp_path / name)
        written = load_pipeline(tmp_path / f"{name}.yaml")[0]
        assert isinstance(written.data, kind) and written.student.model.name == student
        assert len(load_source(written.data, tmp_path).labels) == 2
    (tmp_path / "sounds" / "none").mkdir()
    with pytest.raises(DataError, match="none"):
        write_starter(tmp_path / "again.yaml", tmp_path / "sounds")
    assert not (tmp_path / "again.yaml").exists()


@pytest.mark.parametrize("name", ["a.docx", "no such.csv", "none"])
def test_what_no_source_reads(tmp_path, name):
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(DataError):
        guess_source(tmp_path / name)
