"""Hugging Face's library on local files, and torchvision where it can be imported."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.config.data import HuggingFaceData, TorchvisionData
from edgekd.data import torchvision_sets
from edgekd.data.sources import load_source, source_fingerprint
from edgekd.errors import DataError


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Parquet data set of pictures and one of numbers."""
    datasets = pytest.importorskip("datasets", reason="the optional library datasets")
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return tmp_path


def pictures(folder: Path, sizes: tuple[int, ...] = (8,)) -> np.ndarray:
    """Writes train and test of pictures, and returns the pixels of train."""
    import datasets

    rng = np.random.default_rng(0)
    kinds = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dög"])}
    )
    pixels = rng.integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    for part, start, end in (("train", 0, 30), ("test", 30, 40)):
        rows: dict[str, list] = {"img": [], "label": []}
        for i in range(start, end):
            content = io.BytesIO()
            side = sizes[i % len(sizes)]
            Image.fromarray(pixels[i]).resize((side, side)).save(content, "PNG")
            rows["img"].append({"bytes": content.getvalue(), "path": None})
            rows["label"].append(i % 2)
        table = datasets.Dataset.from_dict(rows, features=kinds)
        table.to_parquet(folder / f"{part}.parquet")
    return pixels[:30]


@pytest.mark.parametrize("streaming", [False, True])
def test_pictures_of_a_local_parquet_folder(base: Path, streaming: bool) -> None:
    expected = pictures(base / "pets")
    settings = HuggingFaceData(name="./pets", validation=0.2, streaming=streaming)
    data = load_source(settings, base)
    assert all(isinstance(split.x, np.memmap) for split in data.splits.values())
    assert data.labels == ("cat", "dög") and data.name == "pets" and data.task == "binary"
    assert [len(split) for split in data.splits.values()] == [24, 6, 10]
    both = np.concatenate([data.train.x, data.validation.x])
    known = {pixels.transpose(2, 0, 1).tobytes() for pixels in expected}
    assert {np.ascontiguousarray(image).tobytes() for image in both} == known
    small = load_source(HuggingFaceData(name="./pets", size=(4, 6)), base)
    assert small.spec.shape == (3, 4, 6) and small.spec.kind == "image"


def test_a_stream_is_the_same_data(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(base / "pets")
    (base / "t").mkdir()
    lines = "\n".join(f"{i / 40},{('no', 'yes')[i % 2]}" for i in range(40))
    (base / "t" / "train.csv").write_text(f"heat,answer\n{lines}\n")
    for number, fields in enumerate(
        ({"name": "./pets"}, {"name": "./t", "x": "heat", "y": "answer"})
    ):
        found = []
        for streaming in (False, True):
            monkeypatch.setenv("EDGEKD_CACHE", str(base / f"cache-{number}-{streaming}"))
            settings = HuggingFaceData.model_validate({**fields, "streaming": streaming})
            found.append(load_source(settings, base).fingerprint)
        assert found[0] == found[1]


def test_a_broken_picture_is_named(base: Path) -> None:
    import datasets

    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    good, bad = content.getvalue(), content.getvalue()[:45]
    rows = {"image": [{"bytes": bad if i == 7 else good, "path": None} for i in range(20)]}
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    (base / "b").mkdir()
    table = datasets.Dataset.from_dict({**rows, "label": [0, 1] * 10}, features=kinds)
    table.to_parquet(base / "b" / "train.parquet")
    with pytest.raises(DataError, match="A sample cannot be read") as caught:
        load_source(HuggingFaceData(name="./b", streaming=True), base)
    assert "./b, train, sample 7" in str(caught.value)


def test_a_table_of_numbers_and_what_goes_wrong(base: Path) -> None:
    (base / "t").mkdir()
    lines = "\n".join(f"{i / 40},{('no', 'yes')[i % 2]}" for i in range(40))
    (base / "t" / "train.csv").write_text(f"heat,answer\n{lines}\n")
    data = load_source(HuggingFaceData(name="./t", x="heat", y="answer"), base)
    assert data.spec.shape == (1,) and data.labels == ("no", "yes")
    with pytest.raises(DataError, match="It is not clear which column x") as caught:
        load_source(HuggingFaceData(name="./t"), base)
    assert "heat, answer" in str(caught.value)
    with pytest.raises(DataError, match="no column wet"):
        load_source(HuggingFaceData(name="./t", x="wet", y="answer"), base)
    with pytest.raises(DataError, match="There is no such folder"):
        load_source(HuggingFaceData(name="./nowhere"), base)
    (base / "junk").mkdir()
    (base / "junk" / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        load_source(HuggingFaceData(name="./junk"), base)


def test_pictures_of_several_sizes_need_one(base: Path) -> None:
    pictures(base / "pets", sizes=(8, 9))
    with pytest.raises(DataError, match=r"differ in shape") as caught:
        load_source(HuggingFaceData(name="./pets"), base)
    assert "data.size" in str(caught.value)


def test_grey_pictures_among_colour_ones_become_colour(base: Path) -> None:
    import datasets

    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    images = [Image.fromarray(p if i % 3 else p[..., 0]) for i, p in enumerate(pixels)]
    rows = {"image": images, "label": [i % 2 for i in range(20)]}
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    (base / "m").mkdir()
    datasets.Dataset.from_dict(rows, features=kinds).to_parquet(base / "m" / "train.parquet")
    assert load_source(HuggingFaceData(name="./m"), base).spec.shape == (3, 8, 8)


def test_the_fingerprint_is_of_the_files_or_of_the_commit(base: Path) -> None:
    pictures(base / "pets")
    one = source_fingerprint(HuggingFaceData(name="./pets"), base)
    (base / "pets" / "more.txt").write_text("x")
    assert source_fingerprint(HuggingFaceData(name="./pets"), base) != one
    commits = [HuggingFaceData(name="mnist", revision=digit * 40) for digit in "ab"]
    assert len({source_fingerprint(commit, base) for commit in commits}) == 2
    assert len({source_fingerprint(commits[0], base) for _ in range(2)}) == 1


def test_torchvisions_pictures_are_resized_as_pillow_does() -> None:
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    settings = TorchvisionData(name="MNIST", size=(14, 16))
    expected = Image.fromarray(x[1]).resize((16, 14), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(torchvision_sets.pictures(x, settings)[1], np.asarray(expected))
    assert torchvision_sets.pictures(x, TorchvisionData(name="MNIST")) is x


def test_without_torchvision_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match="torchvision cannot be imported"):
        load_source(TorchvisionData(name="MNIST"), tmp_path)
