"""Whether this machine is fit to be measured on, and what to change where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUSY = 0.3
"""Load average above which other programs are at work."""
WARM = 80.0
"""°C near which processors begin to throttle."""
THROTTLED_NOW = 0xF
CPU = "/sys/devices/system/cpu"
POWERCAP = "/sys/class/powercap"


@dataclass(frozen=True)
class Finding:
    """One thing that decides how far times can be trusted."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    optional: bool = False
    """It can be measured with, and should be known."""


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def examine(
    state: dict[str, Any] | None = None, read: Callable[[str], str | None] = _read
) -> Iterator[Finding]:
    """Looks at what disturbs times.

    Args:
        state: what the agent's `machine_state` gives; that of this machine if left out.
        read: a file's text, None where it cannot be read.
    """
    from edgekd.agent import agent

    state = agent.machine_state() if state is None else state
    yield _governor(state)
    yield _boost(read)
    yield _load(state)
    yield _heat(state)
    yield _quota(read)
    yield _battery(state, read)
    yield _siblings(read)
    yield _virtual(read)
    yield _energy(read)


def _governor(state: dict[str, Any]) -> Finding:
    name = "governor"
    if state["governor"] is None:
        return Finding(name, False, "not visible: the clock may change unseen", optional=True)
    return Finding(
        name,
        state["governor"] == "performance",
        state["governor"],
        "sudo cpupower frequency-set -g performance",
    )


def _boost(read: Callable[[str], str | None]) -> Finding:
    turbo, boost = f"{CPU}/intel_pstate/no_turbo", f"{CPU}/cpufreq/boost"
    if read(turbo) == "0":
        fix = f"echo 1 | sudo tee {turbo}"
    elif read(boost) == "1":
        fix = f"echo 0 | sudo tee {boost}"
    else:
        return Finding("boost", True, "off, or not visible", optional=True)
    found = "on: the clock depends on heat and on the other cores"
    return Finding("boost", False, found, fix, optional=True)


def _load(state: dict[str, Any]) -> Finding:
    average = state["load_average"]
    if average is None:
        return Finding("load", True, "not visible", optional=True)
    return Finding(
        "load",
        average <= BUSY,
        f"{average:.1f} over the last minute",
        "end other programs (top shows them), and wait a minute",
    )


def _heat(state: dict[str, Any]) -> Finding:
    heat, bits, count = (
        state[name] for name in ("temperature_c", "firmware_throttled", "throttles")
    )
    told = [] if heat is None else [f"{heat:.0f} °C"]
    told += [f"throttled {count} times since the start"] if count else []
    told += [f"get_throttled {bits:#x}"] if bits else []
    ok = (heat or 0) < WARM and not (bits or 0) & THROTTLED_NOW
    fix = "let it cool down, and give it a fan or a better power supply"
    return Finding("heat", ok, ", ".join(told) or "not visible", fix)


def _quota(read: Callable[[str], str | None]) -> Finding:
    words = (read("/sys/fs/cgroup/cpu.max") or "max").split()
    if words[0] == "max" or len(words) != 2:
        return Finding("quota", True, "none")
    cores = int(words[0]) / int(words[1])
    found = f"this container gets {cores:.1f} cores' time, and stands still when it is used up"
    return Finding("quota", False, found, "start it without a limit of processor time")


def _battery(state: dict[str, Any], read: Callable[[str], str | None]) -> Finding:
    if state["battery_percent"] is None:
        return Finding("battery", True, "none")
    supplies = sorted(Path("/sys/class/power_supply").glob("*"))
    draining = any(read(f"{supply}/status") == "Discharging" for supply in supplies)
    found = f"{state['battery_percent']:.0f} %{', discharging' if draining else ''}"
    return Finding("battery", not draining, found, "plug it in")


def _siblings(read: Callable[[str], str | None]) -> Finding:
    if read(f"{CPU}/smt/active") != "1":
        return Finding("hyperthreads", True, "none", optional=True)
    found = "on: two threads may share a core"
    return Finding(
        "hyperthreads", False, found, f"echo off | sudo tee {CPU}/smt/control", optional=True
    )


def _virtual(read: Callable[[str], str | None]) -> Finding:
    flags = next(
        (line for line in (read("/proc/cpuinfo") or "").splitlines() if line.startswith("flags")),
        "",
    )
    if "hypervisor" not in flags.split():
        return Finding("machine", True, "no virtual machine that shows itself", optional=True)
    found = "a virtual machine: what its neighbours do is not visible"
    return Finding("machine", False, found, "measure on a machine of its own", optional=True)


def _energy(read: Callable[[str], str | None]) -> Finding:
    zone = f"{POWERCAP}/intel-rapl:0"
    if read(f"{zone}/name") is None:
        return Finding("energy", True, "no counter", optional=True)
    readable = read(f"{zone}/energy_uj") is not None
    found = "counted" if readable else "its counter may not be read"
    fix = f"sudo chmod o+r {POWERCAP}/intel-rapl:*/energy_uj"
    return Finding("energy", readable, found, fix, optional=True)
