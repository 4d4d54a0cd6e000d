"""An arm64 Debian in a folder, whose programs run in QEMU: made once, for all emulators."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekd.config.device import EMULATED
from edgekd.data.cache import cache_folder
from edgekd.devices import wheels
from edgekd.devices.answers import tail
from edgekd.devices.environment import requirements
from edgekd.errors import StageError

SUITE, PYTHON, GLIBC = "bookworm", [3, 11], "2.36"
PACKAGES = ("base-files", "bash", "coreutils", "dash", "findutils", "grep", "sed", "python3")
LIBRARIES = ("libgomp1", "libstdc++6")
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "unshare": "util-linux",
}
"""Programs that are needed, and Debian's packages of them."""
SITE = "usr/lib/python3/dist-packages"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
RUNTIMES = ("onnxruntime", "litert")

PARTS = {"cortex-a53": "0xd03", "cortex-a72": "0xd08", "cortex-a76": "0xd0b", "max": "0x000"}
"""Part numbers of Arm's processors, by which runtimes choose kernels (Arm's technical reference
manuals, MIDR_EL1). `max` is none of them."""
HWCAP = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma "
    "lrcpc dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg"
)
HWCAP2 = (
    "dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm "
    "svebf16 i8mm bf16 dgh rng bti mte"
)
"""Names of the bits of AT_HWCAP and AT_HWCAP2 in /proc/cpuinfo (Linux, arch/arm64, hwcap.h)."""
ASK_FEATURES = (
    "import ctypes; ask = ctypes.CDLL(None).getauxval; ask.restype = ctypes.c_ulong;"
    "print(ask(16), ask(26))"
)


def root_folder() -> Path:
    """Where the root lies, or would lie."""
    return cache_folder() / f"arm64-{SUITE}"


def require_tools(name: str) -> None:
    """What an emulator needs on this machine, switched on where it is only off.

    Raises:
        StageError: something is missing, or this is not root.
    """
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise StageError(
            "The emulator needs programs that are not installed.",
            where=name,
            fix=f"Debian: sudo apt install {' '.join(missing)} binfmt-support",
        )
    if os.geteuid() != 0:
        raise StageError(
            "The emulator runs in chroot, which only root may.",
            where=name,
            fix="run the same command as root (sudo), or reach an arm64 machine by ssh",
        )
    if not (BINFMT / "register").exists():
        subprocess.run(
            ["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)],
            capture_output=True,
            check=False,
        )
    if not (BINFMT / "qemu-aarch64").exists() and shutil.which("update-binfmts"):
        subprocess.run(
            ["update-binfmts", "--enable", "qemu-aarch64"], capture_output=True, check=False
        )
    if not (BINFMT / "qemu-aarch64").exists():
        raise StageError(
            "The kernel does not start arm64 programs in QEMU.",
            where=f"{name}: there is no {BINFMT}/qemu-aarch64",
            fix="Debian: sudo apt install qemu-user-static binfmt-support; in a container, start it"
            " with rights to mount binfmt_misc, or install them on the host",
        )


def create(name: str, say: Callable[[str], None] = lambda _text: None) -> Path:
    """Makes the root: Debian's packages, unpacked; numpy and the runtimes; the processors' facts.

    Nothing of it is installed by scripts in emulation, which takes a hundred times as long.

    Args:
        name: the device's, for errors.
        say: is told what is being done.

    Raises:
        StageError: something is missing on this machine, or a download failed.
    """
    require_tools(name)
    final = root_folder()
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="arm64-", dir=final.parent) as beside:
        root = Path(beside) / "root"
        say(f"Debian {SUITE} for arm64 (20 s)")
        include = ",".join((*PACKAGES, *LIBRARIES))
        options = ["--quiet", "--architectures=arm64", "--variant=extract", f"--include={include}"]
        _run(["mmdebstrap", *options, SUITE, str(root)], name)
        say("numpy, ONNX Runtime and LiteRT for aarch64 (30 s)")
        _install(root, name)
        say("the processors' facts")
        for processor in EMULATED:
            (root / f"cpuinfo-{processor}").write_text(cpuinfo(root, processor, name))
        for folder in ("proc", "dev", "tmp", "root"):
            (root / folder).mkdir(exist_ok=True)
        if not final.is_dir():  # another process may have been faster
            os.replace(root, final)
    return final


def _install(root: Path, name: str) -> None:
    facts = {"machine": "aarch64", "bits": 64, "libc": ("glibc", GLIBC), "python": PYTHON}
    files = wheels.download(facts, requirements(RUNTIMES), name)
    found = [str(file) for file in files if not file.name.startswith("pip-")]
    tags = [word for tag in wheels.platform_tags(facts) for word in ("--platform", tag)]
    version = ".".join(map(str, PYTHON))
    said = wheels.pip(
        "install",
        *("--no-index", "--no-deps", "--no-compile", "--target", str(root / SITE), *tags),
        *("--python-version", version, "--implementation", "cp", "--", *found),
    )
    if said is not None:
        raise StageError("The runtimes cannot be installed.", where=f"{name}\n{tail(said)}")


def cpuinfo(root: Path, processor: str, name: str) -> str:
    """/proc/cpuinfo as it is on such a processor, with the features that QEMU gives it.

    QEMU would show the host's.
    """
    said = _run(
        ["env", f"QEMU_CPU={processor}", "chroot", str(root), "python3", "-c", ASK_FEATURES], name
    )
    one, two = map(int, said.split())
    names = [text for bit, text in enumerate(HWCAP.split()) if one >> bit & 1]
    names += [text for bit, text in enumerate(HWCAP2.split()) if two >> bit & 1]
    implementer = "0x00" if processor == "max" else "0x41"
    entries = [
        f"processor\t: {number}\nBogoMIPS\t: 100.00\nFeatures\t: {' '.join(names)}\n"
        f"CPU implementer\t: {implementer}\nCPU architecture: 8\nCPU variant\t: 0x0\n"
        f"CPU part\t: {PARTS[processor]}\nCPU revision\t: 0\n"
        for number in range(os.cpu_count() or 1)
    ]
    return "\n".join([*entries, f"Model\t\t: {processor} in QEMU\n"])


def _run(command: Sequence[str], name: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StageError(
            "The arm64 root cannot be made.",
            where=f"{name}: {command[0]}\n{tail(done.stderr)}",
            fix="it needs Debian's packages and pip's from the internet, once",
        )
    return done.stdout
