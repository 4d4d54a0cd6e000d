"""The counter of instructions, on a program whose instructions are known one by one."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from edgekd.devices import counter
from edgekd.errors import StageError

ADDRESS, HEADERS = 0x400000, 64 + 56


def mov(register: int, value: int) -> list[int]:
    """movz and movk of the lower 32 bits (Arm Architecture Reference Manual, C6.2)."""
    low, high = value & 0xFFFF, value >> 16
    return [0xD2800000 | low << 5 | register, 0xF2A00000 | high << 5 | register]


SVC, SUBS_X19_1, BNE_BACK_1 = 0xD4000001, 0xF1000673, 0x54FFFFE1
MARKED = [*mov(0, 0x65646B64), *mov(8, 167), SVC]
"""prctl(MARK): 5 instructions."""


def loop(turns: int) -> bytes:
    """An arm64 Linux program (ELF): a mark, so many turns of two instructions, a mark, exit."""
    turning = [SUBS_X19_1, BNE_BACK_1]
    words = [*mov(19, turns), *MARKED, *turning, *MARKED, *mov(0, 0), *mov(8, 93), SVC]
    code = struct.pack(f"<{len(words)}I", *words)
    size = HEADERS + len(code)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    entry = ADDRESS + HEADERS
    header = struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, entry, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, size, size, 0x10000)
    return ident + header + segment + code


def counted(folder: Path, program: bytes) -> list[int]:
    (folder / "program").write_bytes(program)
    (folder / "program").chmod(0o755)
    command = [*counter.words(folder / "counter"), str(folder / "program")]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return [int(line) for line in (folder / counter.FILE).read_text().split()]


def test_every_instruction_counts(counting, tmp_path):
    counter.make(tmp_path / "counter", Path(shutil.which(counter.QEMU) or ""), "arm64")
    for turns in (1, 1000, 3_000_000):
        expected = [2 + len(MARKED), 2 + len(MARKED) + 2 * turns + len(MARKED)]
        assert counted(tmp_path, loop(turns)) == expected
        assert counted(tmp_path, loop(turns)) == expected


@pytest.mark.parametrize("words", [["-plugin", "PLUGIN"], ["-plugin", "PLUGIN,out=/no/where"]])
def test_a_plugin_without_a_file_says_so(counting, tmp_path, words):
    made = counter.make(tmp_path / "counter", Path(shutil.which(counter.QEMU) or ""), "arm64")
    (tmp_path / "program").write_bytes(loop(1))
    (tmp_path / "program").chmod(0o755)
    words = [word.replace("PLUGIN", str(made / counter.PLUGIN)) for word in words]
    done = subprocess.run(
        [counter.QEMU, *words, str(tmp_path / "program")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode and "out=FILE is missing, or cannot be written" in done.stderr


@pytest.fixture
def root(arm64, tmp_path) -> Path:
    """The arm64 root as it is for others, in which nobody else makes a counter just now."""
    own = tmp_path / "root"
    own.mkdir()
    for entry in arm64.iterdir():
        if not entry.name.startswith("counter-"):
            (own / entry.name).symlink_to(entry)
    return own


@pytest.mark.slow
def test_it_is_made_once(root, counting):
    before = set(root.iterdir())
    first = counter.around(root, "arm64")
    plugin = root / first[-1].partition(",")[0].lstrip("/")
    made = plugin.stat().st_mtime_ns
    assert counter.around(root, "arm64") == first and plugin.stat().st_mtime_ns == made
    assert set(root.iterdir()) - before == {plugin.parent}, "nothing is left beside"


@pytest.mark.parametrize(
    ("change", "message", "told"),
    [
        (("#define PRCTL", "#define ANOTHER"), "cannot be compiled", "PRCTL"),
        (("int qemu_plugin_version = API", "int qemu_plugin_version = 99"), "refuses", "99"),
        (("EXPORT int qemu_plugin_install", "EXPORT int another"), "refuses", "install"),
    ],
)
@pytest.mark.slow
def test_a_wrong_plugin(root, counting, tmp_path, monkeypatch, change, message, told):
    wrong = tmp_path / "wrong.c"
    wrong.write_text(counter.SOURCE.read_text().replace(*change))
    monkeypatch.setattr(counter, "SOURCE", wrong)
    before = set(root.iterdir())
    with pytest.raises(StageError, match=message) as caught:
        counter.around(root, "arm64")
    assert told in caught.value.where and caught.value.fix
    assert set(root.iterdir()) == before


@pytest.mark.parametrize("tool", counter.PACKAGES)
def test_what_is_missing_is_told(tmp_path, monkeypatch, tool):
    (other,) = set(counter.PACKAGES) - {tool}
    (tmp_path / other).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StageError, match="not installed") as caught:
        counter.around(tmp_path, "arm64")
    assert counter.PACKAGES[tool] in caught.value.fix
    assert [path.name for path in tmp_path.iterdir()] == [other]


def test_a_static_qemu_takes_none(counting, tmp_path):
    found = shutil.which("qemu-aarch64-static")
    if found is None:
        pytest.skip("needs qemu-user-static, which .ci/run installs")
    with pytest.raises(StageError, match="takes no plugins"):
        counter.make(tmp_path / "counter", Path(found), "arm64")
