"""What an Android phone says about itself: its processor and cores, its heat, its battery."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgekd.agent.agent import INSTRUCTIONS
from edgekd.devices.android_scripts import SECTION
from edgekd.errors import StageError

Cores = Literal["big", "little", "all"] | tuple[int, ...]

TEMPERATURES = {0, 1, 2, 3, 4, 5, 9}
"""Kinds of Android's sensors (android.os.Temperature) that tell °C: CPU, GPU, battery, skin, USB
port, power amplifier, NPU. The others tell volts, amperes and shares of the battery."""
THROTTLING = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's thermal status by number (PowerManager.THERMAL_STATUS_...): from `light` on, the phone
slows itself down."""


@dataclass(frozen=True)
class AndroidFacts:
    """What of a phone stays as it is."""

    system: str
    """Android's version, the kernel's, and the machine."""
    processor: str
    """The phone's name, its chip, and how many cores of which clock."""
    memory_bytes: int
    instructions: tuple[str, ...]
    clocks_mhz: dict[int, float]
    """The highest clock of each core that runs; empty where the phone does not tell."""
    cores: tuple[int, ...]
    """The numbers of all of them."""


def sections(text: str) -> dict[str, str]:
    """What the scripts of `android_scripts` printed, by the names between."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").splitlines():
        if line.startswith(SECTION):
            lines = found.setdefault(line.removeprefix(SECTION).strip(), [])
        else:
            lines.append(line)
    return {name: "\n".join(part).strip() for name, part in found.items()}


def read_facts(text: str) -> AndroidFacts:
    """What `android_scripts.FACTS` printed."""
    said = sections(text)
    cpu = _named(said.get("cpuinfo", ""))
    clocks = {core: khz / 1e3 for core, khz in _numbered(said.get("clocks", ""))}
    count = re.match(r"\d+", said.get("cores", ""))
    memory = re.search(r"(\d+) kB", said.get("memory", ""))
    maker, model, chip = (
        said.get(f"ro.{name}", "")
        for name in ("product.manufacturer", "product.model", "soc.model")
    )
    chip = " ".join(filter(None, (said.get("ro.soc.manufacturer", ""), chip)))
    names = ", ".join(filter(None, (f"{maker} {model}".strip(), chip or cpu.get("Hardware", ""))))
    version = said.get("ro.build.version.release", "")
    android = f"Android {version} (API {said.get('ro.build.version.sdk', '')})"
    return AndroidFacts(
        system=", ".join(filter(None, (android if version else "Android", said.get("kernel", "")))),
        processor=f"{names or 'unknown'} ({_kinds(clocks)})" if clocks else names or "unknown",
        memory_bytes=1024 * int(memory[1]) if memory else 0,
        instructions=tuple(n for n in INSTRUCTIONS if n in cpu.get("Features", "").split()),
        clocks_mhz=clocks,
        cores=tuple(sorted(clocks)) or tuple(range(int(count[0]) if count else 1)),
    )


def _kinds(clocks: dict[int, float]) -> str:
    """Such as "4 x 1803, 3 x 2253, 1 x 2802 MHz"."""
    kinds = sorted(set(clocks.values()))
    counts = [sum(clock == kind for clock in clocks.values()) for kind in kinds]
    return ", ".join(f"{n} x {kind:.0f}" for n, kind in zip(counts, kinds, strict=True)) + " MHz"


def cores_of(facts: AndroidFacts, wanted: Cores, name: str) -> tuple[int, ...]:
    """The cores that a profile's `use_cores` means; all of them where they are alike.

    Raises:
        StageError: the phone has no such core, or does not tell which are fast.
    """
    if isinstance(wanted, tuple):
        unknown = [core for core in wanted if core not in facts.cores]
        if unknown:
            raise StageError(
                f"The phone has no core {unknown[0]} that runs.",
                where=f"{name}: use_cores; there are {', '.join(map(str, facts.cores))}",
            )
        return tuple(sorted(set(wanted)))
    slowest = min(facts.clocks_mhz.values(), default=0.0)
    little = tuple(c for c in facts.cores if facts.clocks_mhz.get(c, 0.0) == slowest)
    big = tuple(core for core in facts.cores if core not in little)
    if wanted == "all" or not big:
        return facts.cores
    return big if wanted == "big" else little


def mask_of(cores: Sequence[int]) -> str:
    """The cores as taskset wants them: bits, in hexadecimal."""
    return f"{sum(1 << core for core in cores):x}"


def read_state(text: str, cores: Sequence[int], of: int) -> dict[str, Any]:
    """What `android_scripts.STATE` printed, as `edgekd.bench.result.MachineState` has it, and
    `battery_saver`. What cannot be read is None.

    Args:
        cores: those that measure.
        of: how many there are.
    """
    said = sections(text)
    battery, now = _named(said.get("battery", "")), _numbered_words(said.get("clocks", ""))
    used = [now[core] for core in cores if core in now]
    clocks = [float(words[0]) for words in used if words and words[0].isdigit()]
    governors = sorted({words[-1] for words in used if words and not words[-1].isdigit()})
    status = re.search(r"^Thermal Status: (\d+)", said.get("thermal", ""), re.MULTILINE)
    load = re.match(r"[\d.]+", said.get("load", ""))
    charge, scale = (_number(battery.get(key)) for key in ("level", "scale"))
    powered = [battery.get(f"{way} powered") for way in ("AC", "USB", "Wireless", "Dock")]
    return {
        "governor": ", ".join(governors) or None,
        "clock_mhz": sum(clocks) / len(clocks) / 1e3 if clocks else None,
        "temperature_c": _hottest(said),
        "throttles": None,
        "firmware_throttled": None,
        "load_average": float(load[0]) if load else None,
        "cores": list(cores),
        "pinned": len(cores) < of,
        "battery_percent": None if charge is None else 100 * charge / (scale or 100),
        "battery_c": None
        if (tenths := _number(battery.get("temperature"))) is None
        else tenths / 10,
        "powered": "true" in powered if any(powered) else None,
        "thermal_status": int(status[1]) if status else None,
        "battery_saver": said.get("saver", "").strip() == "1",
    }


def _hottest(said: dict[str, str]) -> float | None:
    """°C of the hottest sensor: as Android's thermal service reads them now, or the kernel."""
    _old, _mark, now = said.get("thermal", "").partition("Current temperatures from HAL:")
    now = now.partition("Current cooling devices")[0]
    found = [
        float(value)
        for value, kind in re.findall(r"mValue=(-?[\d.]+), mType=(-?\d+)", now)
        if int(kind) in TEMPERATURES and float(value)  # 0: there is no such sensor
    ]
    if not found:  # thousandths; zones also tell of limits and of sensors that are off
        zones = [float(word) / 1e3 for word in said.get("zones", "").split() if _number(word)]
        found = [value for value in zones if 0 < value < 150]
    return max(found, default=None)


def doubts(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What makes times doubtful, one sentence each: what is so on this phone, and what measuring
    again may mend.
    """
    always, again = [], []
    if before["governor"] not in (None, "performance"):
        always.append(f"the frequency governor is {before['governor']}, not performance")
    if before["battery_saver"]:
        always.append("the battery saver is on, which holds the clock down")
    worst = max(before["thermal_status"] or 0, after["thermal_status"] or 0)
    if worst:
        word = THROTTLING[min(worst, len(THROTTLING) - 1)]
        again.append(f"the phone throttles because of heat (thermal status {worst}, {word})")
    return always, again


def _named(text: str) -> dict[str, str]:
    """Lines "name: value", of several the first."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _numbered_words(text: str) -> dict[int, list[str]]:
    """Lines of a number and words, by the number."""
    lines = (line.split() for line in text.splitlines())
    return {int(words[0]): words[1:] for words in lines if words and words[0].isdigit()}


def _numbered(text: str) -> list[tuple[int, float]]:
    found = _numbered_words(text).items()
    return sorted(
        (number, float(words[0])) for number, words in found if words and _number(words[0])
    )
