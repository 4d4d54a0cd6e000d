"""A synthetic signal: the vibration of sixteen machines in four states, on three axes.

It is made up here, from textbook signatures of rotating machines, and no measurement: scores on it
say that a pipeline works, not how well a network would tell faults of real machines apart. The same
numbers come every time.

Each of 64 machines turns at a speed of its own, between 20 and 30 turns a second, which drifts by
up to 6 %, and passes on what shakes it differently along each axis. It is recorded in each state
for 640 steps at 1,000 steps a second:

- normal: a weak shake once a turn, and noise, which is in every state;
- imbalance: a strong shake once a turn, across the shaft;
- misalignment: a shake twice a turn, and along the shaft;
- bearing: at each of 3.6 knocks a turn a resonance of the housing that dies away.

How strong a fault is differs between machines by a factor of up to four.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.data.series_signal import Signal

STATES = ("normal", "imbalance", "misalignment", "bearing")
CHANNELS = ("radial_x", "radial_y", "axial")
MACHINES = 64
STEPS = 640
"""Of a machine in one state."""
RATE = 1000
"""Steps a second."""
KNOCKS = 3.6
"""A turn: the outer ring of a bearing with nine balls has about as many."""
SEED = 20


def signal() -> Signal:
    """All recordings, one after the other: 163,840 steps of three channels, unit g."""
    values, states, machines = [], [], []
    for machine in range(MACHINES):
        rng = np.random.default_rng([SEED, machine])
        gains = rng.uniform(0.6, 1.4, 3)
        speed, resonance = rng.uniform(20, 30), rng.uniform(180, 320)
        severity = rng.uniform(0.25, 1.0)
        for state in STATES:
            turns = _turns(speed, rng)
            shake = _shake(state, turns, severity, resonance, rng)
            values.append(gains * shake + rng.normal(0, 0.35, (STEPS, 3)))
            states += [state] * STEPS
            machines += [f"machine {machine:02}"] * STEPS
    return Signal(
        name="vibration",
        where="the built-in signal vibration",
        channels=CHANNELS,
        values=np.concatenate(values).astype(np.float32),
        targets=np.array(states)[:, None],
        groups=np.array(machines),
    )


def source_fingerprint() -> str:
    """SHA-256 of this file, which is all that the signal depends on."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _turns(speed: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often the shaft has turned at each step (STEPS,): the speed drifts slowly."""
    time = np.arange(STEPS) / RATE
    drift = 0.06 * np.sin(2 * np.pi * (rng.uniform(0.3, 1.2) * time + rng.uniform()))
    return np.cumsum(speed * (1 + drift)) / RATE + rng.uniform()


def _shake(
    state: str,
    turns: NDArray[np.float64],
    severity: float,
    resonance: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The axes (STEPS, 3) without noise."""
    once, twice = 2 * np.pi * turns, 4 * np.pi * turns
    shift = rng.uniform(0, 2 * np.pi)
    axes = 0.25 * np.stack([np.cos(once), np.sin(once), 0.3 * np.cos(once + shift)], 1)
    if state == "imbalance":
        axes += severity * np.stack([np.cos(once), np.sin(once), 0.1 * np.cos(once)], 1)
    elif state == "misalignment":
        strength = np.array([0.7, 0.4, 0.9])
        axes += severity * strength * np.cos(twice[:, None] + shift + np.array([0, 1.2, 0.4]))
    elif state == "bearing":
        axes += severity * np.array([1.5, 1.5, 0.5]) * _ringing(turns, resonance)[:, None]
    return axes


def _ringing(turns: NDArray[np.float64], resonance: float) -> NDArray[np.float64]:
    """(STEPS,): each knock makes the housing ring for about 4 ms."""
    knocks = np.diff(np.floor(KNOCKS * turns), prepend=np.floor(KNOCKS * turns[0]))
    time = np.arange(24) / RATE
    return np.convolve(knocks, np.exp(-time / 0.004) * np.sin(2 * np.pi * resonance * time))[:STEPS]
