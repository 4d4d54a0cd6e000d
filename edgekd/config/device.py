"""A device profile: where benchmarks run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, model_validator

from edgekd.config.base import Settings

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

FIELDS_OF = {
    "local": frozenset[str](),
    "ssh": frozenset({"host", "user", "port", "ssh_config", "python", "folder"}),
    "emulator": frozenset({"folder"}),
    "browser": frozenset({"host", "port", "tls", "wait"}),
    "adb": frozenset(
        {"serial", "benchmark_model", "benchmark_model_sha256", "use_cores", "python", "folder"}
    ),
}
"""Fields that only some kinds have."""
EMULATED = ("cortex-a53", "cortex-a72", "cortex-a76", "max")
"""Processors that an emulator may be: names of QEMU's."""
ANDROID_FOLDER = "/data/local/tmp/edgekd"
"""Where the user of `adb shell` may write files and start them."""


class DeviceSettings(Settings):
    """A device file."""

    name: Name
    """Names the device in pipelines and results."""
    kind: Literal["local", "ssh", "adb", "emulator", "browser"] = "local"
    """How it is reached: `local` is the machine that runs edgekd, `ssh` any Linux machine, by
    OpenSSH, `adb` an Android phone, by Android's debug bridge, `emulator` an arm64 Linux on this
    machine, in QEMU, and `browser` whatever opens a page that edgekd serves."""
    description: str = ""
    """What it is, for the report."""
    processor: str = ""
    """Its processor: of an emulator, which one it is (cortex-a53, cortex-a72, cortex-a76 or max,
    which has every instruction that QEMU knows); of others, as people call it."""
    runtimes: tuple[Literal["onnxruntime", "litert"], ...] = ("onnxruntime", "litert")
    """What it can run: files of other runtimes are not measured there. A phone without `python`
    runs TFLite files only: [litert]."""
    onnxruntime: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")] | None = None
    """Version of ONNX Runtime on it, where an app or an old system has one of its own: files whose
    operators are too new for it are refused before they are made. Left out, any is read."""
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:%-]*$")] | None = None
    """Of ssh: its address, or its name in your OpenSSH configuration. Of a browser: the address of
    this machine that the page is served at, 127.0.0.1 if left out, 0.0.0.0 for all."""
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")] | None = None
    """Of ssh: the user there; left out, as your OpenSSH configuration says."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Of ssh: likewise. Of a browser: the page's; any that is free if left out."""
    ssh_config: Path | None = None
    """Of ssh: an OpenSSH configuration file that is read instead of yours. A relative path starts
    at the device file."""
    serial: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:%-]*$")] | None = None
    """Of adb: which phone, as `adb devices` lists it, or host:port of one in the network. Left out,
    the only one there is, or what ANDROID_SERIAL says."""
    benchmark_model: Annotated[str, Field(min_length=1)] | None = None
    """Of adb: Google's `benchmark_model` for this phone, a path, or an https address to download it
    from, once. A relative path starts at the device file."""
    benchmark_model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of adb: its content; an address needs this."""
    use_cores: (
        Literal["big", "little", "all"] | Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]
    ) = "big"
    """Of adb: the cores that measure: all that are faster than the slowest kind, the slowest kind,
    all of them, or a list of their numbers."""
    python: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]+$")] = "python3"
    """Of ssh: Python 3.9 or newer there, a name or a path. Of adb: left out, `benchmark_model`
    measures; a path to a Python with numpy and the runtimes, such as Termux', measures with
    edgekd's own agent, and accuracy as well."""
    folder: Annotated[str, Field(min_length=1)] = ".cache/edgekd"
    """Where edgekd keeps its files there. A relative path starts at the user's home. Of an
    emulator: a folder inside it. Of adb: /data/local/tmp/edgekd, or with an app's Python a folder
    of that app."""
    tls: bool = True
    """Of a browser: whether a page for other machines is served by https, with a certificate that
    is made for it. Without, browsers give it one thread and no WebGPU."""
    wait: Annotated[float, Field(gt=0, le=86400)] = 300.0
    """Of a browser: seconds in which one must open the page."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_a_phone(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("kind") != "adb":
            return value
        runtimes = {} if "python" in value else {"runtimes": ["litert"]}
        app = app_of(str(value.get("python", "")))
        folder = f"/data/data/{app}/files/home/.cache/edgekd" if app else ANDROID_FOLDER
        return {**runtimes, "folder": folder, **value}

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> DeviceSettings:
        others = frozenset[str]().union(*FIELDS_OF.values()) - FIELDS_OF[self.kind]
        wrong = sorted(others & self.model_fields_set)
        if wrong:
            raise ValueError(f"{wrong[0]}: a device of kind {self.kind} has no such field")
        if self.kind == "ssh" and self.host is None:
            raise ValueError("host: a device of kind ssh needs one")
        if self.kind == "emulator" and self.processor not in EMULATED:
            raise ValueError(f"processor: an emulator is one of {', '.join(EMULATED)}")
        if self.kind == "adb":
            self._is_a_whole_phone()
        return self

    def _is_a_whole_phone(self) -> None:
        if not self.has_python and "onnxruntime" in self.runtimes:
            raise ValueError("runtimes: onnxruntime on a phone needs the field python")
        address = self.benchmark_model or ""
        if "://" in address and not address.startswith("https://"):
            raise ValueError("benchmark_model: an address begins with https://")
        if "://" in address and self.benchmark_model_sha256 is None:
            raise ValueError("benchmark_model_sha256: what is downloaded needs it")

    @property
    def has_python(self) -> bool:
        """Whether edgekd's agent runs there: on a phone only where the profile names a Python."""
        return self.kind != "adb" or "python" in self.model_fields_set


def app_of(path: str) -> str | None:
    """The Android app that a file belongs to, None where it is none's: its name by its folder."""
    found = re.match(r"/data/(?:data|user/[0-9]+)/([A-Za-z0-9_.]+)/", path)
    return found[1] if found else None
