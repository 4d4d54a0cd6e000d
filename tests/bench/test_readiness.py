"""What makes times doubtful is found, with what to change."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from edgekd.agent.agent import machine_state
from edgekd.bench.readiness import CPU, POWERCAP, Finding, examine
from edgekd.cli import app

FINE = {
    "governor": "performance",
    "load_average": 0.1,
    "temperature_c": 50.0,
    "throttles": 0,
    "firmware_throttled": None,
    "battery_percent": None,
}


def findings(files: dict[str, str] | None = None, **changes: object) -> dict[str, Finding]:
    return {f.name: f for f in examine(FINE | changes, (files or {}).get)}


def test_a_machine_that_is_fit():
    assert all(finding.ok for finding in findings().values())
    assert FINE.keys() <= machine_state().keys()


@pytest.mark.parametrize(
    ("name", "changes", "words", "fix"),
    [
        ("governor", {"governor": "powersave"}, "powersave", "performance"),
        ("load", {"load_average": 3.0}, "3.0", "top"),
        ("heat", {"temperature_c": 91.0}, "91 °C", "cool"),
        ("heat", {"firmware_throttled": 0x50005}, "0x50005", "power supply"),
    ],
)
def test_states_that_must_change(name, changes, words, fix):
    found = findings(**changes)
    assert [f.name for f in found.values() if not f.ok] == [name]
    assert words in found[name].found and fix in found[name].fix and not found[name].optional


@pytest.mark.parametrize(
    ("name", "files", "words", "optional"),
    [
        ("quota", {"/sys/fs/cgroup/cpu.max": "150000 100000"}, "1.5 cores", False),
        ("boost", {f"{CPU}/intel_pstate/no_turbo": "0"}, "on", True),
        ("boost", {f"{CPU}/cpufreq/boost": "1"}, "on", True),
        ("hyperthreads", {f"{CPU}/smt/active": "1"}, "share a core", True),
        ("machine", {"/proc/cpuinfo": "flags\t: fpu hypervisor"}, "virtual machine", True),
        ("energy", {f"{POWERCAP}/intel-rapl:0/name": "package-0"}, "may not be read", True),
    ],
)
def test_settings_of_the_system(name, files, words, optional):
    found = findings(files)
    assert [f.name for f in found.values() if not f.ok] == [name]
    assert words in found[name].found and found[name].optional == optional and found[name].fix


def test_past_throttling_and_no_limit_are_told_and_fine():
    found = findings({"/sys/fs/cgroup/cpu.max": "max 100000"}, throttles=4)
    assert found["quota"].ok and found["heat"].ok and "4 times" in found["heat"].found


def test_the_command_says_what_to_change():
    done = CliRunner().invoke(app, ["doctor", "--bench"])
    assert done.exit_code in (0, 1)
    assert "governor" in done.output and "numpy" not in done.output
    assert (done.exit_code == 1) == ("MISS" in done.output)
