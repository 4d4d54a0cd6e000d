"""The machine's facts are those of /proc, os and psutil."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edgekd.agent import agent
from edgekd.devices.machine import describe_machine


def test_facts_of_this_machine():
    machine = describe_machine()
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.memory_bytes == pytest.approx(psutil.virtual_memory().total, rel=0.01)
    assert platform.release() in machine.system and platform.machine() in machine.system
    text = Path("/proc/cpuinfo").read_text()
    assert machine.processor and (machine.processor in text or "model name" not in text)
    flags = next(
        (
            line.partition(":")[2].split()
            for line in text.splitlines()
            if line.startswith(("flags", "Features"))
        ),
        [],
    )
    assert set(machine.instructions) == set(flags) & set(agent.INSTRUCTIONS)


def test_it_says_the_same_every_time():
    """Artefacts' keys hold it."""
    assert describe_machine() == describe_machine()


def test_cores_are_those_that_the_process_may_use():
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}]);"
        "from edgekd.devices.machine import describe_machine; print(describe_machine().cores)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"1"]


def test_no_heavy_imports():
    heavy = ("torch", "onnxruntime", "onnx", "ai_edge_litert", "scipy", "sklearn", "PIL")
    code = (
        "import sys, edgekd.bench.jobs, edgekd.bench.table, edgekd.runtimes.predict\n"
        "from edgekd.devices.machine import describe_machine\n"
        f"describe_machine(); print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


CORTEX = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid asimddp

Hardware\t: BCM2835
Model\t\t: Raspberry Pi 4 Model B Rev 1.4
"""


def test_a_raspberry_pi(monkeypatch):
    files = {
        "/proc/cpuinfo": CORTEX,
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand",
    }
    monkeypatch.setattr(agent, "_text", files.get)
    facts = agent.machine_facts()
    assert facts["processor"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert facts["instructions"] == ["asimd", "asimddp"]
    assert facts["governor"] == "ondemand"
