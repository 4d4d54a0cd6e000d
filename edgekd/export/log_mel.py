"""Log-mel features inside a graph: the Fourier transform as a convolution with fixed kernels, which
both runtimes have (neither has one STFT operator that the other exporter writes).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.data.sound import LEAST_ENERGY, features, fft_length, filters
from edgekd.spec import SoundSpec

QUIETEST_DB = -60.0


class LogMel(nn.Module):
    """Recordings (B, samples) float32, within -1..1 at the spec's rate, to features (B, 1, frames,
    mels): `edgekd.data.sound.features` but for float32 rounding.
    """

    def __init__(self, spec: SoundSpec) -> None:
        super().__init__()
        self.hop = spec.hop
        banks = filters(spec)
        used = np.flatnonzero(banks.max(1) > 0)
        time = np.arange(spec.window)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * time / spec.window)
        phase = 2 * np.pi * used[:, None] * time / fft_length(spec)
        waves = np.concatenate([np.cos(phase), np.sin(phase)]) * (window / window.sum())
        self.register_buffer("waves", torch.tensor(waves[:, None], dtype=torch.float32))
        self.register_buffer("banks", torch.tensor(banks[used] / LEAST_ENERGY, dtype=torch.float32))

    def forward(self, samples: Tensor) -> Tensor:
        """See the class."""
        parts = F.conv1d(samples[:, None], self.waves, stride=self.hop)  # type: ignore[arg-type]
        real, imaginary = parts.chunk(2, 1)
        power = (real * real + imaginary * imaginary).transpose(1, 2)
        # log(energy + least), in a form in which nobody takes the least energy for 0 and drops it,
        # as the optimiser of ONNX graphs does.
        relative = torch.matmul(power, self.banks) + 1  # type: ignore[arg-type]
        return (torch.log(relative) + math.log(LEAST_ENERGY))[:, None]


def made_up_recordings(
    spec: SoundSpec, count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Recordings (count, samples) and their features (count, 1, frames, mels), from numpy's FFT:
    sweeps in noise from full scale down to -60 dB, and silence.
    """
    generator = np.random.default_rng(0)
    time = np.arange(spec.samples) / spec.rate
    found = []
    for number in range(count):
        low, high = generator.uniform(50, spec.rate / 2, 2)
        sweep = np.sin(2 * np.pi * (low * time + (high - low) / 2 * time**2 / time[-1]))
        noise = generator.standard_normal(spec.samples) * generator.uniform(0, 0.3)
        level = 0.0 if number == 0 else 10 ** (generator.uniform(QUIETEST_DB, 0) / 20)
        found.append(np.clip(level * (sweep + noise), -1, 1))
    recordings = np.array(found, np.float32)
    return recordings, np.stack([features(one, spec.rate, spec) for one in recordings])
