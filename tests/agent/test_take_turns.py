"""Several files in turns of milliseconds: their order, what counts, and the agent as a process."""

from __future__ import annotations

import gc
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
from test_measuring import SHORT, run
from tiny_models import Tiny

from edgekd.agent import agent


class Machine:
    """A clock, and which file ran when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.order = 0, ""
        monkeypatch.setattr(agent.time, "perf_counter_ns", lambda: self.now)
        monkeypatch.setattr(agent.time, "process_time", lambda: self.now / 1e9)


class Timed(agent.ModelFile):
    """A model whose runs take so many microseconds on a machine's clock, and the first of a block
    longer.
    """

    def __init__(self, machine: Machine, name: str, us: float) -> None:
        self.machine, self.name, self.us = machine, name, us

    def place(self, arrays):
        return arrays

    def use(self, placed):
        pass

    def invoke(self):
        cold = not self.machine.order.endswith(self.name)
        self.machine.now += int(1e3 * self.us * (9 if cold else 1))
        self.machine.order += self.name


def turns(monkeypatch, us: list[float], seconds: float) -> tuple[list[list[float]], str]:
    machine = Machine(monkeypatch)
    models: list[agent.ModelFile] = [
        Timed(machine, name, time) for name, time in zip("ABC", us, strict=False)
    ]
    found = agent.take_turns(models, [[[np.zeros(1)]]] * len(us), seconds)
    return found, machine.order


def test_the_order_is_balanced_and_a_blocks_first_run_does_not_count(monkeypatch):
    found, order = turns(monkeypatch, [100.0, 105.0], 0.02)
    assert "".join(name for name, _runs in groupby(order)).startswith("ABABAB")
    runs = [(name, len(list(some))) for name, some in groupby(order)]
    assert runs[:4] == [("A", 21), ("B", 42), ("A", 21), ("B", 21)], "A B, B A, and B A, A B"
    assert found[0] == [100.0] * len(found[0]) and found[1] == [105.0] * len(found[1])
    assert len(found[0]) == len(found[1]) >= 8 and len(found[0]) % 2 == 0


def test_of_three_files_none_always_follows_the_same_one(monkeypatch):
    _found, order = turns(monkeypatch, [300.0] * 3, 0.1)
    names = [name for name, _runs in groupby(order)]
    before = {name: set() for name in "ABC"}
    for one, other in pairwise(names):
        before[other].add(one)
    assert before == {"A": set("BC"), "B": set("AC"), "C": set("AB")}


def test_slow_files_have_a_run_a_block_and_two_turns(monkeypatch):
    found, order = turns(monkeypatch, [50_000.0, 60_000.0], 0.0)
    assert found == [[50_000.0] * 2, [60_000.0] * 2]
    assert order.count("A") == order.count("B") == 8


def test_two_files_in_a_process(tmp_path):
    tiny = Tiny()
    one, other = (tiny.write(tmp_path, "tflite", form) for form in ("int8", "float32"))
    np.save(tmp_path / "x.npy", tiny.samples(5))
    others = [{"model": str(other), "inputs": "x.npy"}]
    job = {"model": str(one), **SHORT, "turns": {"others": others, "seconds": 0.02}}
    code, result = run(tmp_path, job)
    assert code == 0 and result["latency_us"]["n"] >= 60
    first, second = map(np.array, result["blocks_us"])
    assert first.shape == second.shape and len(first) >= 2 and len(first) % 2 == 0
    assert (first > 0).all() and (second > 0).all()
    assert gc.isenabled()

    code, result = run(tmp_path, job | {"turns": {"others": [{"model": "absent.tflite"}],
                                                  "seconds": 0.02}})  # fmt: skip
    assert code == 1 and "no such model file" in result["error"]
    assert Path(result["where"]).name == "absent.tflite"
