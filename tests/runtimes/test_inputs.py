"""A user's files become the samples that the model was trained on."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from edgekd.errors import DataError
from edgekd.runtimes.inputs import PICTURES, arrange, read_samples
from edgekd.spec import InputSpec


def image_spec(*shape: int, peak: float | None = None) -> InputSpec:
    return InputSpec(
        kind="image", shape=shape, mean=(0.0,) * shape[0], std=(1.0,) * shape[0], peak=peak
    )


GREY, RGB = image_spec(1, 8, 8), image_spec(3, 4, 6)
ROW = InputSpec(kind="row", shape=(3,), mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".ppm"])
def test_picture_in_its_own_size_is_untouched(tmp_path, pixels, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(pixels).save(path)
    got = read_samples(path, RGB)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, pixels.transpose(2, 0, 1)[None])


@pytest.mark.parametrize("suffix", [s for s in PICTURES if s not in (".pgm",)])
def test_every_picture_format_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (30, 20), (200, 100, 50)).save(path)
    got = read_samples(path, RGB)
    assert got.shape == (1, 3, 4, 6)
    np.testing.assert_allclose(got.mean((0, 2, 3)), (200, 100, 50), atol=8)


def test_picture_is_turned_grey_resized_and_scaled_to_the_peak(tmp_path, pixels):
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    weights = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2, as Pillow documents
    got = read_samples(path, image_spec(1, 4, 6, peak=16.0))
    np.testing.assert_allclose(got[0, 0], weights * 16 / 255, atol=16 / 255)
    small = read_samples(path, image_spec(1, 2, 3, peak=1.0))
    assert small.shape == (1, 1, 2, 3) and small.min() >= 0 and small.max() <= 1


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA"])
def test_picture_of_any_mode(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode).save(path)
    for spec in (GREY, RGB):
        np.testing.assert_allclose(read_samples(path, spec), 255, atol=2)


def test_picture_is_turned_upright(tmp_path):
    path = tmp_path / "a.jpg"
    picture = Image.new("L", (8, 8), 0)
    picture.paste(255, (0, 0, 8, 4))  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 3  # it was taken upside down
    picture.save(path, exif=exif, quality=95)
    got = read_samples(path, GREY)[0, 0]
    assert got[:3].max() < 30 and got[5:].min() > 225


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_layouts_mean_the_same(data):
    shape = data.draw(st.sampled_from([(1, 5, 4), (3, 5, 4), (2, 3, 3)]))
    n = data.draw(st.integers(1, 3))
    kind = st.floats(-100, 100, width=32)
    x = data.draw(hnp.arrays(np.float32, (n, *shape), elements=kind))
    spec = image_spec(*shape)
    given_ = [x, np.moveaxis(x, 1, -1), x.reshape(n, -1)]
    if shape[0] == 1:
        given_.append(x[:, 0])
    if n == 1:
        given_ += [value[0] for value in given_]
    for value in given_:
        np.testing.assert_array_equal(arrange(value, spec, ""), x)


@pytest.mark.parametrize("shape", [(7,), (2, 3), (1, 1, 8, 7), (0, 1, 8, 8), (), (1, 2, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="no input of this model") as caught:
        arrange(np.zeros(shape), GREY, "a.npy")
    assert "(1, 8, 8)" in caught.value.fix and caught.value.where == "a.npy"


def test_arrays(tmp_path):
    path = tmp_path / "a.npy"
    values = np.arange(128, dtype=np.uint8).reshape(2, 8, 8)
    np.save(path, values)
    np.testing.assert_array_equal(read_samples(path, GREY), values[:, None])
    np.save(path, np.array(["a"]))
    with pytest.raises(DataError, match="no numbers"):
        read_samples(path, GREY)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        read_samples(path, GREY)
    np.save(path, np.full((8, 8), np.nan))
    with pytest.raises(DataError, match="not finite"):
        read_samples(path, GREY)
    archive = io.BytesIO()
    np.savez(archive, x=values)
    path.write_bytes(archive.getvalue())
    with pytest.raises(DataError, match="archive"):
        read_samples(path, GREY)


@pytest.mark.parametrize(
    "text", ["1,2,3\n4,5,6\n", "a,b,c\r\n1,2,3\r\n4,5,6", "\ufeff1, 2.0 ,3e0\n\n4,5,6\n\n"]
)
def test_tables(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    np.testing.assert_array_equal(read_samples(path, ROW), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"1,2,3\n4,x,6", "'x' is not a number"),
        (b"a,b,3\n", "'a' is not a number"),
        (b"1,2,3\n4,5", "different lengths"),
        (b"1,2\n4,5", "no input of this model"),
        (b"a,b,c\n", "no rows"),
        (b"1,2,nan\n", "not finite"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"", "empty"),
    ],
)
def test_tables_that_are_wrong(tmp_path, content, words):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_samples(path, ROW)
    assert str(path) in caught.value.where


def test_errors_of_files(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_samples(tmp_path / "a.png", GREY)
    sound = tmp_path / "a.xyz"
    sound.write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"\.xyz are not read") as caught:
        read_samples(sound, GREY)
    assert all(kind in caught.value.fix for kind in (".png", ".npy", ".csv"))
    picture = tmp_path / "a.png"
    Image.effect_noise((64, 64), 50).save(picture)
    whole = picture.read_bytes()
    for broken in (b"no picture", whole[:20], whole[:500]):
        picture.write_bytes(broken)
        with pytest.raises(DataError, match="picture cannot be read"):
            read_samples(picture, GREY)
    picture.write_bytes(whole)
    for spec in (ROW, image_spec(2, 8, 8)):
        with pytest.raises(DataError, match="takes no pictures"):
            read_samples(picture, spec)
