"""Folders and .zip files of pictures and recordings: read right, and refused with reasons."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from edgekd.config.data import AudioFolderData, Features, ImageFolderData
from edgekd.data import archive as archive_module
from edgekd.data.folders import load
from edgekd.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(path: Path, seed: int, size: tuple[int, int] = (6, 5), mode: str = "RGB") -> np.ndarray:
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def pictures(root: Path, each: int = 10, mode: str = "RGB") -> Path:
    for number, label in enumerate(("Äpfel grün", "pears")):
        for i in range(each):
            picture(root / label / f"no {i}.png", 100 * number + i, mode=mode)
    return root


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent).as_posix())
    return path


def images(path: Path, **settings: object):
    return load(ImageFolderData.model_validate({"path": path, **settings}), Path.cwd())


def sounds(path: Path, **settings: object):
    return load(AudioFolderData.model_validate({"path": path, **settings}), Path.cwd())


def recordings(root: Path, speakers: int = 6) -> Path:
    root.mkdir()
    generator = np.random.default_rng(0)
    for digit in range(2):
        for speaker in range(speakers):
            for i in range(4):
                wave = np.sin(np.arange(4000) * 0.2 * (digit + 1)) + generator.normal(0, 0.1, 4000)
                name = f"{digit}_s{speaker}_{i}.wav"
                wavfile.write(root / name, 8000, (wave * 8000).astype(np.int16))
    return root


def test_a_folder_and_its_zip_give_the_pixels_that_pillow_reads(tmp_path: Path) -> None:
    root = pictures(tmp_path / "fruit")
    data = images(root)
    again = images(zipped(root, tmp_path / "fruit.zip"))
    assert data.labels == again.labels == ("pears", "Äpfel grün")
    for split in ("train", "validation", "test"):
        np.testing.assert_array_equal(data.splits[split].x, again.splits[split].x)
    everything = np.concatenate([split.x for split in data.splits.values()])
    expected = np.asarray(Image.open(root / "pears" / "no 3.png")).transpose(2, 0, 1)
    assert (everything == expected).all((1, 2, 3)).sum() == 1
    assert data.spec.shape == (3, 5, 6) and len(everything) == 20


def test_the_second_load_comes_from_the_cache_and_a_changed_file_does_not(
    tmp_path: Path, cache: Path
) -> None:
    root = pictures(tmp_path / "fruit")
    first = images(root)
    assert images(root).fingerprint == first.fingerprint
    assert len(list(cache.glob("fruit-*"))) == 1
    picture(root / "pears" / "no 0.png", 999)
    assert images(root).fingerprint != first.fingerprint
    assert len(list(cache.glob("fruit-*"))) == 2
    assert not list(cache.glob(".fruit*")) and not list(cache.glob("*/decoded.npy"))


def test_parts_sizes_and_grey(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for label in "ab":
            seed = zlib.crc32(f"{part}{label}".encode())
            picture(tmp_path / "d" / part / label / "x.png", seed, mode="L", size=(9, 7))
    data = images(tmp_path / "d", size=[4, 5])
    assert [len(s) for s in data.splits.values()] == [2, 2, 2]
    assert data.spec.shape == (1, 4, 5)
    assert images(tmp_path / "d", channels=3, size=[4, 5]).spec.shape == (3, 4, 5)


def refused(action, *words: str) -> None:
    with pytest.raises(DataError) as caught:
        action()
    for word in words:
        assert word in str(caught.value)


def test_bad_folders_are_refused_with_the_files_name(tmp_path: Path) -> None:
    root = pictures(tmp_path / "fruit")
    (root / "pears" / "half ü.png").write_bytes((root / "pears" / "no 1.png").read_bytes()[:60])
    refused(lambda: images(root), "half ü.png", "skip_broken")
    assert any("half ü.png" in text for text in images(root, skip_broken=True).warnings)
    (root / "none").mkdir()
    refused(lambda: images(root, skip_broken=True), "'none' is empty")
    one = tmp_path / "one"
    picture(one / "a" / "x.png", 0)
    refused(lambda: images(one), "one class only")
    refused(lambda: images(tmp_path / "nowhere"), "nowhere")


def test_parts_must_agree_and_share_no_file(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for part in ("train", "test"):
        for label in "ab":
            for i in range(6):
                picture(root / part / label / f"{i}.png", zlib.crc32(f"{part}{label}{i}".encode()))
    copied = root / "test" / "a" / "copy.png"
    copied.write_bytes((root / "train" / "a" / "0.png").read_bytes())
    refused(lambda: images(root), "test/a/copy.png")
    assert images(root, allow_duplicates=True).warnings
    copied.unlink()
    picture(root / "test" / "c" / "0.png", 5)
    refused(lambda: images(root), "differ", "c")


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "C:\\evil.png"])
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, b"x")
    refused(lambda: images(tmp_path / "x.zip"), "leads outside")


def test_links_bombs_and_no_zips_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a/x.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(lambda: images(tmp_path / "link.zip"), "symbolic link")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.png", bytes(8 << 20))
    refused(lambda: images(tmp_path / "bomb.zip"), "bomb")
    (tmp_path / "no.zip").write_bytes(b"PK nothing")
    refused(lambda: images(tmp_path / "no.zip"), "not a .zip")


def test_a_zip_with_a_name_twice_or_many_small_bombs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive, pytest.warns(UserWarning):
        archive.writestr("a/x.png", b"x")
        archive.writestr("a/x.png", b"y")
    refused(lambda: images(tmp_path / "twice.zip"), "a/x.png", "twice")
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(5):
            archive.writestr(f"a/{i}.png", bytes(1 << 20))
    monkeypatch.setattr(archive_module, "LARGEST_FILE", 4 << 20)
    refused(lambda: images(tmp_path / "many.zip"), "many.zip", "bomb")


def test_links_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    root = pictures(tmp_path / "fruit")
    picture(tmp_path / "secret.png", 77)
    (root / "pears" / "again.png").symlink_to("no 1.png")
    assert sum(map(len, images(root).splits.values())) == 21
    link = root / "pears" / "geheim ü.png"
    link.symlink_to(tmp_path / "secret.png")
    refused(lambda: images(root), "geheim ü.png", "secret.png", "leads out")
    link.unlink()
    (root / "loop").symlink_to(root)
    refused(lambda: images(root), "loop")
    (root / "loop").unlink()
    (tmp_path / "alias").symlink_to(root)
    assert images(tmp_path / "alias").labels == images(root).labels


def test_a_recording_of_another_rate_may_come_first(tmp_path: Path) -> None:
    root = recordings(tmp_path / "rec")
    plain = sounds(root, label="^([0-9])_", seconds=0.5)
    wavfile.write(root / "0_a_1.wav", 16000, np.ones(8000, np.int16))
    data = sounds(root, label="^([0-9])_", seconds=0.5)
    assert data.spec.sound == plain.spec.sound
    every = np.concatenate([split.x for split in data.splits.values()])
    known = {sample.tobytes() for split in plain.splits.values() for sample in split.x}
    assert sum(sample.tobytes() in known for sample in every) == len(every) - 1


def test_a_full_disk_is_told_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekd.data import decode

    root = pictures(tmp_path / "fruit")
    free = type("Usage", (), {"free": 100})
    monkeypatch.setattr(decode.shutil, "disk_usage", lambda _: free)
    refused(lambda: images(root), "are free", "EDGEKD_CACHE")


def test_a_huge_picture_is_refused_unread(tmp_path: Path) -> None:
    root = pictures(tmp_path / "fruit")
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    (root / "pears" / "huge.png").write_bytes(buffer.getvalue())
    refused(lambda: images(root), "huge.png", "cannot be read")


def test_recordings_by_name_with_the_authors_test_split(tmp_path: Path) -> None:
    root = recordings(tmp_path / "rec")
    data = sounds(root, label="^([0-9])_", balance="_(s[0-9])_", test_files="_0.wav$", seconds=0.5)
    assert data.labels == ("0", "1")
    assert [len(split) for split in data.splits.values()] == [32, 4, 12]
    assert data.spec.kind == "audio" and data.spec.shape == (1, data.spec.sound.frames, 40)
    assert data.train.x.dtype == np.float32


def test_a_group_stays_on_one_side(tmp_path: Path) -> None:
    root = tmp_path / "rec"
    root.mkdir()
    for speaker in range(8):  # a speaker's recordings have a loudness of their own
        for digit in range(2):
            for i in range(3):
                wave = np.full(4000, 1000 * (speaker + 1) + i, np.int16)
                wave[::2] = digit
                wavfile.write(root / f"{digit}_{speaker}_{i}.wav", 8000, wave)
    data = sounds(root, label="^([0-9])", group="_([0-9])_", seconds=0.5)
    loudness = {
        name: set(np.round(np.exp((split.x.max((1, 2, 3)) + 9) / 2), 1).tolist())
        for name, split in data.splits.items()
    }
    sizes = [len(split) for split in data.splits.values()]
    assert sum(sizes) == 48 and all(size % 6 == 0 for size in sizes)
    assert not loudness["train"] & loudness["test"]


def test_mixed_rates_and_channels_are_brought_together_and_noted(tmp_path: Path) -> None:
    root = recordings(tmp_path / "rec")
    wavfile.write(root / "0_s9_1.wav", 16000, np.ones((8000, 2), np.int16))
    data = sounds(root, label="^([0-9])_", seconds=0.5)
    for told in ("resampled to 8000 Hz", "averaged"):
        (note,) = [text for text in data.warnings if told in text]
        assert "such as 0_s9_1.wav" in note


def test_bad_recordings_are_listed(tmp_path: Path) -> None:
    root = recordings(tmp_path / "rec")
    wavfile.write(root / "0_leer_1.wav", 8000, np.zeros(0, np.int16))
    (root / "1_half_2.wav").write_bytes((root / "0_s0_0.wav").read_bytes()[:500])
    (root / "1_bad_2.wav").write_bytes(b"RIFF")
    refused(lambda: sounds(root, label="^([0-9])_"), "0_leer_1.wav", "1_half_2.wav", "1_bad_2.wav")
    refused(lambda: sounds(root, label="^x([0-9])_"), "data.label")
    refused(
        lambda: sounds(root, label="^([0-9])_", skip_broken=True, features=Features(mels=500)),
        "mels",
    )
