"""WebDataset's shards: of a folder, and over HTTP from a server that breaks off."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from edgekd.config.data import WebDatasetData
from edgekd.data import flow, forward, webdataset
from edgekd.data.shards import expanded, find_shards
from edgekd.data.sources import load_source, source_fingerprint
from edgekd.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3)).astype(np.uint8)


def picture(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def shard(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def pets(folder: Path, grey: bool = False) -> Path:
    """train-0 and train-1 of 16 samples each, test-0 of 8."""
    for name, start, end in (("train-0", 0, 16), ("train-1", 16, 32), ("test-0", 32, 40)):
        members = {}
        for i in range(start, end):
            members[f"{i:03}.png"] = picture(PIXELS[i, ..., 0] if grey else PIXELS[i])
            members[f"{i:03}.txt"] = b"a caption"
            members[f"{i:03}.cls"] = str(i % 2).encode()
        shard(folder / f"{name}.tar", members)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(forward, "PAUSES", (0.0, 0.0))


@pytest.mark.parametrize("block", [3, 1024])
def test_pictures_of_a_folder(tmp_path: Path, monkeypatch, block: int) -> None:
    monkeypatch.setattr(flow, "BLOCK", block)
    monkeypatch.setattr(webdataset, "BLOCK_BYTES", block * PIXELS[0].nbytes)
    pets(tmp_path / "pets")
    data = load_source(WebDatasetData(path=Path("pets"), validation=0.25), tmp_path)
    assert [len(split) for split in data.splits.values()] == [24, 8, 8]
    assert data.name == "pets" and data.spec.kind == "image" and data.train.x.dtype == np.uint8
    for split in data.splits.values():
        assert isinstance(split.x, np.memmap), "samples are never all in memory"
        assert split.ids is not None
        for x, y, name in zip(split.x, split.y, split.ids, strict=True):
            number = int(name.rpartition("/")[2])
            np.testing.assert_array_equal(x, PIXELS[number].transpose(2, 0, 1))
            assert y == number % 2
    assert data.test.ids is not None and data.test.ids[0] == "test-0/032"


def test_grey_pictures_have_one_channel_and_a_size(tmp_path: Path) -> None:
    pets(tmp_path / "pets", grey=True)
    data = load_source(WebDatasetData(path=Path("pets")), tmp_path)
    assert data.spec.shape == (1, 6, 5)
    np.testing.assert_array_equal(data.test.x[:, 0], PIXELS[32:, ..., 0])
    assert load_source(WebDatasetData(path=Path("pets"), size=(4, 4)), tmp_path).spec.shape == (
        1,
        4,
        4,
    )


def test_arrays_with_json_targets(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 2)).astype(np.float32)
    members = {}
    for i in range(30):
        members[f"{i}.npy"] = array(x[i])
        members[f"{i}.json"] = json.dumps({"label": y[i].tolist(), "by": "us"}).encode()
    shard(tmp_path / "rows.tar", members)
    data = load_source(WebDatasetData(path=Path("rows.tar"), labels=("a", "b")), tmp_path)
    assert data.task == "regression" and data.spec.shape == (4,)
    assert data.train.ids is not None
    rows = [int(name.rpartition("/")[2]) for name in data.train.ids]
    np.testing.assert_array_equal(data.train.x, x[rows].astype(np.float32))
    np.testing.assert_array_equal(data.train.y, y[rows])


def test_images_as_arrays_are_kept_as_npz_keeps_them(tmp_path: Path) -> None:
    """Whole numbers from 0 to 255 become bytes, wherever the channels are."""
    members = {}
    for i, pixels in enumerate(PIXELS):
        members |= {f"{i}.npy": array(pixels.astype(np.float64)), f"{i}.cls": b"ab"[i % 2 :][:1]}
    shard(tmp_path / "s" / "0.tar", members)
    data = load_source(WebDatasetData(path=Path("s")), tmp_path)
    assert data.train.x.dtype == np.uint8 and data.spec.shape == (3, 6, 5)
    assert data.labels == ("a", "b")


GOOD = {f"{i}.{end}": c for i in range(9) for end, c in (("npy", array(np.ones(3))), ("cls", b"1"))}


@pytest.mark.parametrize(
    ("members", "message", "place"),
    [
        ({"7.pth": b"x"}, "holds Python objects", "'7.pth'"),
        ({"7.x.pickle": b"x"}, "holds Python objects", "'7.x.pickle'"),
        ({"../7.npy": b"x"}, "leads outside", "'../7.npy'"),
        ({"/7.npy": b"x"}, "leads outside", "'/7.npy'"),
        ({"7.npy": array(np.array([{}], object)), "7.cls": b"1"}, "pickle", "sample 7"),
        (
            {"7.npy": array(np.ones(9))[:-8], "7.cls": b"1"},
            "claims 72 bytes and has 64",
            "sample 7",
        ),
        ({"7.npy": array(np.ones(3))}, "no .cls member", "sample 7, which has .npy"),
        ({"7.npy": array(np.array([1, np.nan, 2])), "7.cls": b"1"}, "NaN", "0/7"),
        ({"7.npy": array(np.ones(4)), "7.cls": b"1"}, r"differ in shape: \(4,\)", "sample 7"),
        ({"7.npy": array(np.ones(3, "i4")), "7.cls": b"1"}, "differ in shape or type", "0/7"),
    ],
)
def test_what_is_refused(tmp_path: Path, members, message: str, place: str) -> None:
    others = {name: content for name, content in GOOD.items() if not name.startswith("7")}
    shard(tmp_path / "s" / "0.tar", others | members)
    with pytest.raises(DataError, match=message) as caught:
        load_source(WebDatasetData(path=Path("s")), tmp_path)
    assert "0.tar" in str(caught.value) or "0/7" in str(caught.value)
    assert place in str(caught.value)
    assert not list((tmp_path / "cache").glob(".*")), "nothing is left behind"


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = shard(tmp_path / "0.tar", GOOD)
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("x.npy")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match="is no plain file"):
        load_source(WebDatasetData(path=Path("0.tar")), tmp_path)


@pytest.mark.parametrize("cut", [3000, 3072, 4096, 4300, 300])
def test_a_truncated_shard_is_told(tmp_path: Path, cut: int) -> None:
    """In a header, at a member's end, in its content: tarfile takes some of them for the end."""
    path = shard(tmp_path / "s" / "0.tar", GOOD)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="damaged or not whole") as caught:
        load_source(WebDatasetData(path=Path("s")), tmp_path)
    assert "0.tar, at or after" in str(caught.value)


def test_a_header_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("huge")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 7 << 30
    (tmp_path / "0.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(DataError, match="claims 7,516 MB"):
        load_source(WebDatasetData(path=Path("0.tar")), tmp_path)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("birds-training-0", "train"),
        ("valid/0", "validation"),
        ("testing-0", "test"),
        ("contest-0", "train"),  # no such word
    ],
)
def test_the_part_of_a_shard_is_a_word_in_its_name(tmp_path: Path, name: str, part: str) -> None:
    for each in (name, "train-1"):
        shard(tmp_path / "birds" / f"{each}.tar", {})
    found = find_shards(WebDatasetData(path=Path("birds")), tmp_path)
    assert {one.name: one.part for one in found} == {f"{name}.tar": part, "train-1.tar": "train"}


def test_addresses() -> None:
    assert expanded("http://h/{08..10}-{0..1}.tar")[1:4] == [
        "http://h/08-1.tar",
        "http://h/09-0.tar",
        "http://h/09-1.tar",
    ]
    for wrong in ("http://h/{a..c}.tar", "http://h/{5..4}.tar", "http://h/{0..9999999}.tar"):
        with pytest.raises(DataError, match="stands for no shards"):
            expanded(wrong)
    for wrong in ({"url": "ftp://h/0.tar"}, {"url": "file:///etc"}, {}, {"path": "a", "url": "b"}):
        with pytest.raises(ValidationError):
            WebDatasetData.model_validate(wrong)


class Breaking(SimpleHTTPRequestHandler):
    """Sends half of what is asked for and closes, so many times."""

    times = 0
    ranges = True
    asked: list[str | None] = []  # noqa: RUF012 of all connections

    def do_GET(self) -> None:
        half = type(self).times > 0
        type(self).times -= 1
        file, wanted = Path(self.translate_path(self.path)), self.headers.get("Range")
        type(self).asked.append(wanted)
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{len(content)}"')
        self.end_headers()
        self.wfile.write(content[start : (start + len(content)) // 2 if half else None])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    pets(tmp_path / "web")
    Breaking.times, Breaking.ranges, Breaking.asked = 0, True, []
    handler = partial(Breaking, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def remote(server: str) -> WebDatasetData:
    return WebDatasetData(url=(f"{server}/train-{{0..1}}.tar", f"{server}/test-0.tar"))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_off_goes_on(tmp_path: Path, server: str, ranges: bool) -> None:
    """Also of a server that knows no ranges: what is there already is passed over."""
    whole = load_source(WebDatasetData(path=Path("web")), tmp_path)
    source_fingerprint(remote(server), tmp_path)
    Breaking.ranges, Breaking.asked = ranges, []
    reader = forward.Forward(forward.Download(f"{server}/train-0.tar").read)
    Breaking.times = 2
    content = (tmp_path / "web" / "train-0.tar").read_bytes()
    assert reader.read(len(content) + 1) == content
    assert [asked is None for asked in Breaking.asked] == [True, False, False]
    data = load_source(remote(server), tmp_path)
    assert data.fingerprint == whole.fingerprint and data.name == "train"
    assert source_fingerprint(remote(server), tmp_path) == source_fingerprint(
        remote(server), tmp_path
    )


def test_a_server_that_fails_is_told(tmp_path: Path, server: str) -> None:
    with pytest.raises(DataError, match="404") as caught:
        load_source(WebDatasetData(url=(f"{server}/train-9.tar",)), tmp_path)
    assert "train-9.tar, after 0 bytes" in str(caught.value)
    Breaking.times = 100
    source = forward.Download(f"{server}/train-0.tar")
    with pytest.raises(DataError, match="connection was closed") as caught:
        while source.read(1 << 20):
            pass
    assert "run again" in str(caught.value)


def test_a_shard_that_changes_meanwhile_is_told(tmp_path: Path, server: str) -> None:
    source = forward.Download(f"{server}/train-0.tar")
    Breaking.times = 1
    source.read(1000)
    source.close()
    (tmp_path / "web" / "train-0.tar").write_bytes(bytes(5000))
    with pytest.raises(DataError, match="changed while it was read"):
        source.read(1000)
