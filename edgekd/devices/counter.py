"""An emulator that counts instructions: QEMU with a plugin, compiled once, inside the arm64 root.

The root's programs are started by a QEMU of one static file, which takes no plugins. The one that
does is dynamically linked, so its libraries come along; a job that is to be counted names it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgekd.data.cache import file_fingerprint
from edgekd.devices.answers import tail
from edgekd.errors import StageError
from edgekd.store import digest

SOURCE = Path(__file__).with_name("qemu_plugin") / "instructions.c"
QEMU, PLUGIN, LOADER = "qemu-aarch64", "instructions.so", "ld.so"
PACKAGES = {QEMU: "qemu-user", "cc": "gcc libc6-dev"}
"""Programs that are needed, and Debian's packages of them. What qemu-user recommends would remove
qemu-user-static."""
VARIABLE, FILE = "EDGEKD_COUNTER", "instructions.txt"
"""How the agent learns of the counter: by a variable with the name of the file that it writes."""
SECOND = 9
"""QEMU's version that brought the second version of the plugins' interface, and takes no first."""
LISTED = re.compile(r"(/\S+) \(0x")
"""A file in a line of ldd."""
KNOWN = "Debian 12's qemu-user and gcc are known to work"


def around(root: Path, name: str) -> list[str]:
    """The words before a program in the root that have its instructions counted. The counter is
    made if it is not there.

    Args:
        name: the device's, for errors.

    Raises:
        StageError: something is missing on this machine, or the counter cannot be made.
    """
    qemu = _tools(name)
    folder = root / f"counter-{digest([file_fingerprint(qemu), SOURCE.read_text()])}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(prefix="counter-", dir=root) as beside:
            made = make(Path(beside) / "whole", qemu, name)
            _try(made, root, name)
            if not folder.is_dir():  # another process may have been faster
                os.replace(made, folder)
    return words(Path("/") / folder.relative_to(root))


def words(folder: Path) -> list[str]:
    """The command's words up to the program, with the counter's folder as the program sees it. What
    programs draw by chance at their start is the same each time, as far as QEMU and Python decide.
    """
    plugin = f"{folder / PLUGIN},out={FILE}"
    qemu = [str(folder / LOADER), "--library-path", str(folder), str(folder / QEMU)]
    same = ["-seed", "0", "-E", "PYTHONHASHSEED=0"]
    return [*qemu, *same, "-E", f"{VARIABLE}={FILE}", "-plugin", plugin]


def _try(folder: Path, root: Path, name: str) -> None:
    """Raises StageError: QEMU and the plugin do not fit together."""
    command = [*words(folder), "-L", str(root), str(root / "bin/true")]
    _run(command, name, "QEMU refuses the instruction counter.", folder)


def make(folder: Path, qemu: Path, name: str) -> Path:
    """The folder with QEMU, what it is linked with, and the plugin.

    Raises:
        StageError: this QEMU takes no plugins, or the compiler fails.
    """
    folder.mkdir()
    static = "This QEMU takes no plugins: it is one static file."
    libraries = [Path(file) for file in LISTED.findall(_run(["ldd", str(qemu)], name, static))]
    if not libraries:
        raise StageError(static, where=f"{name}: {qemu}", fix=KNOWN)
    for file in libraries:
        shutil.copy(file, folder / (LOADER if file.name.startswith("ld-") else file.name))
    shutil.copy(qemu, folder / QEMU)
    told = _run([str(qemu), "--version"], name, "QEMU does not start.")
    version = re.search(r"version (\d+)", told)
    api = 2 if version and int(version[1]) >= SECOND else 1
    flags = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden", f"-DAPI={api}"]
    compile_it = ["cc", *flags, "-o", str(folder / PLUGIN), str(SOURCE)]
    _run(compile_it, name, "The instruction counter cannot be compiled.")
    return folder


def _tools(name: str) -> Path:
    missing = [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]
    if missing:
        raise StageError(
            "Counting instructions needs programs that are not installed.",
            where=name,
            fix=f"Debian: sudo apt install --no-install-recommends {' '.join(missing)}",
        )
    found = shutil.which(QEMU)
    assert found is not None
    return Path(found)


def _run(command: Sequence[str], name: str, failed: str, there: Path | None = None) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=there
    )
    if done.returncode:
        raise StageError(
            failed,
            where=f"{name}: {Path(command[0]).name}\n{tail(done.stderr)}",
            fix=KNOWN,
        )
    return done.stdout
