"""What a phone says about itself, in the form of Android's own programs."""

from __future__ import annotations

import pytest
from phone import BATTERY, THERMAL

from edgekd.bench.result import MachineState
from edgekd.devices.android import machine_state
from edgekd.devices.android_facts import cores_of, doubts, mask_of, read_facts, read_state
from edgekd.errors import StageError

CLOCKS = "".join(
    f"{core} {khz}\n" for core, khz in enumerate([1803000] * 4 + [2253000] * 3 + [2850000])
)
FACTS = f"""@edgekd-ro.product.manufacturer
Google
@edgekd-ro.product.model
Pixel 8
@edgekd-ro.soc.manufacturer
Google
@edgekd-ro.soc.model
Tensor G3
@edgekd-ro.build.version.release
14
@edgekd-ro.build.version.sdk
34
@edgekd-kernel
5.15.110-android14 aarch64
@edgekd-cpuinfo
processor\t: 0
BogoMIPS\t: 49.15
Features\t: fp asimd aes asimdhp asimddp i8mm bf16
Hardware\t: Tensor
@edgekd-memory
MemTotal:        7767364 kB
@edgekd-cores
8
@edgekd-clocks
{CLOCKS}"""
CPUS = "".join(f"{core} {1000000 + core} schedutil\n" for core in range(8))
STATE = f"""@edgekd-thermal
{THERMAL.format(status=0)}
@edgekd-battery
{BATTERY}
@edgekd-saver
0
@edgekd-load
3.25 2.5 2.0 2/3456 7890
@edgekd-zones
41000
-274000
99999000
52500
@edgekd-clocks
{CPUS}"""


def test_which_phone_it_is():
    facts = read_facts(FACTS)
    assert facts.system == "Android 14 (API 34), 5.15.110-android14 aarch64"
    assert facts.processor == (
        "Google Pixel 8, Google Tensor G3 (4 x 1803, 3 x 2253, 1 x 2850 MHz)"
    )
    assert facts.memory_bytes == 7767364 * 1024 and facts.cores == tuple(range(8))
    assert facts.instructions == ("asimd", "asimdhp", "asimddp", "i8mm", "bf16")


def test_an_old_phone_tells_less():
    facts = read_facts("@edgekd-cpuinfo\nHardware : Qualcomm MSM8953\n@edgekd-cores\n4\n")
    assert (facts.system, facts.processor) == ("Android", "Qualcomm MSM8953")
    assert facts.cores == (0, 1, 2, 3) and cores_of(facts, "big", "phone") == facts.cores


@pytest.mark.parametrize(
    ("wanted", "cores", "mask"),
    [
        ("big", (4, 5, 6, 7), "f0"),
        ("little", (0, 1, 2, 3), "f"),
        ("all", tuple(range(8)), "ff"),
        ((7, 4), (4, 7), "90"),
    ],
)
def test_cores(wanted, cores, mask):
    found = cores_of(read_facts(FACTS), wanted, "phone")
    assert found == cores and mask_of(found) == mask


def test_a_core_that_is_not_there():
    with pytest.raises(StageError, match="no core 8"):
        cores_of(read_facts(FACTS), (4, 8), "phone")


def test_the_state():
    state = read_state(STATE, (4, 5, 6, 7), 8)
    assert state["temperature_c"] == 47.5  # the service's own, not what it kept from before
    assert state["clock_mhz"] == pytest.approx(1000.0055)
    assert (state["battery_percent"], state["battery_c"], state["powered"]) == (67, 33.7, True)
    assert (state["thermal_status"], state["load_average"]) == (0, 3.25)
    assert state["governor"] == "schedutil" and state["pinned"] and not state["battery_saver"]
    assert MachineState.model_validate(machine_state(state)).cores == (4, 5, 6, 7)


def test_heat_of_the_kernel_where_android_tells_none():
    text = STATE.replace("Current temperatures from HAL", "HAL Ready")
    assert read_state(text, (0,), 8)["temperature_c"] == 52.5


def test_what_cannot_be_read_is_none():
    state = read_state("/system/bin/sh: settings: inaccessible or not found\n", (0, 1), 2)
    assert {name for name, value in state.items() if value not in (None, False)} == {"cores"}
    assert doubts(state, state) == ([], [])


def test_doubts():
    before = read_state(STATE.replace("saver\n0", "saver\n1"), (0,), 8)
    after = read_state(STATE.replace("Status: 0", "Status: 3"), (0,), 8)
    always, again = doubts(before, after)
    assert always[0] == "the frequency governor is schedutil, not performance"
    assert "battery saver is on" in always[1]
    assert again == ["the phone throttles because of heat (thermal status 3, severe)"]
