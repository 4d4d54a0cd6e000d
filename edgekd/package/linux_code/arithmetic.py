"""From a raw sample to the numbers that a model takes, to the bit the same in every language.

docs/package.md of edgekd writes the arithmetic down: IEEE 754 operations in a fixed order, no fused
multiply-add, and no sine or logarithm of a library, which round differently from one to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LN2 = 0.6931471805599453
HALF_PI = 1.5707963267948966
LEAST_ENERGY = 1e-9
"""Added to a mel energy before the logarithm."""
WEIGHT_BITS = 22
"""Of a resampling weight; the product with a pixel fits 32 bits."""
RED, GREEN, BLUE = 19595, 38470, 7471
"""ITU-R BT.601's luma in 65536ths."""


def normalise(raw: np.ndarray, told: dict[str, Any]) -> np.ndarray:
    """(raw - mean) / std of a sample (*shape), in float32; codes as they are, int32."""
    if told["kind"] == "codes":
        return np.asarray(raw, np.int32)
    channels = (-1,) + (1,) * (len(told["shape"]) - 1)
    mean = np.array(told["mean"], np.float32).reshape(channels)
    std = np.array(told["std"], np.float32).reshape(channels)
    return (np.asarray(raw, np.float32) - mean) / std


def lay_out(x: np.ndarray, told: dict[str, Any]) -> np.ndarray:
    """A normalised sample (*shape) as the model's tensor, with a batch of 1 in front.

    int8: x / scale in float32, rounded half to even, + zero point, clipped to -128..127.
    """
    if told["layout"] == "NHWC" and x.ndim == 3:
        x = np.moveaxis(x, 0, -1)
    if told["dtype"] == "int8":
        steps = np.rint(x / np.float32(told["quantization"]["scale"]))
        x = np.clip(steps + np.float32(told["quantization"]["zero_point"]), -128, 127)
    return np.ascontiguousarray(x, np.dtype(told["dtype"]).newbyteorder("<"))[None]


def real(raw: np.ndarray, told: dict[str, Any]) -> np.ndarray:
    """An output tensor in float32: (q - zero point) * scale of int8."""
    if told["quantization"] is None:
        return raw.astype(np.float32)
    steps = raw.astype(np.float32) - np.float32(told["quantization"]["zero_point"])
    return steps * np.float32(told["quantization"]["scale"])


# ---------------------------------------------------------------- pictures


def picture(pixels: np.ndarray, told: dict[str, Any]) -> np.ndarray:
    """Pixels 0 to 255, (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8, as a raw sample (C, h, w).

    Colour becomes grey where the model is, grey is repeated where it is not, and a fourth channel
    is dropped; then the picture is resized, and scaled to the training data's units.
    """
    channels, height, width = told["shape"]
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] >= 3 and channels == 1:
        pixels = grey(pixels)[:, :, None]
    pixels = np.repeat(pixels, 3, 2) if pixels.shape[2] < channels else pixels[:, :, :channels]
    resized = resize(pixels, height, width)
    return np.moveaxis(resized, -1, 0).astype(np.float32) * np.float32(told["peak"] / 255.0)


def grey(pixels: np.ndarray) -> np.ndarray:
    """Luma (H, W) uint8 of colours (H, W, 3 or 4)."""
    wide = pixels.astype(np.int64)
    luma = wide[:, :, 0] * RED + wide[:, :, 1] * GREEN + wide[:, :, 2] * BLUE
    return ((luma + 32768) >> 16).astype(np.uint8)


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, C) uint8 to (height, width, C): a triangle filter that widens as the picture shrinks,
    along the rows first and then the columns, each pass rounded to 8 bits: Pillow's BILINEAR, which
    in newer versions may take the other order.
    """
    rows = _apply(weights(pixels.shape[1], width), pixels.transpose(1, 0, 2))
    return _apply(weights(pixels.shape[0], height), rows.transpose(1, 0, 2))


def weights(size: int, wanted: int) -> np.ndarray:
    """(wanted, size) int64: each new pixel's weights, in 2^22ths."""
    scale = size / wanted
    spread = max(scale, 1.0)
    found = np.zeros((wanted, size), np.int64)
    for place in range(wanted):
        centre = (place + 0.5) * scale
        first = max(0, int(centre - spread + 0.5))
        last = min(size, int(centre + spread + 0.5))
        near = [
            max(0.0, 1.0 - abs((at - centre + 0.5) * (1.0 / spread))) for at in range(first, last)
        ]
        total = 0.0
        for one in near:
            total += one
        for at, one in zip(range(first, last), near):  # noqa: B905
            found[place, at] = int(one / total * (1 << WEIGHT_BITS) + 0.5)
    return found


def _apply(taken: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Weights (wanted, size) along the first axis of (size, N, C)."""
    size = pixels.shape[0]
    sums = taken @ pixels.reshape(size, -1).astype(np.int64) + (1 << (WEIGHT_BITS - 1))
    small = np.clip(sums >> WEIGHT_BITS, 0, 255).astype(np.uint8)
    return small.reshape(len(taken), *pixels.shape[1:])


# ---------------------------------------------------------------- sound


def log_mel(samples: np.ndarray, told: dict[str, Any]) -> np.ndarray:
    """Log-mel features (1, frames, mels) of a recording (N,) float32 within -1..1 at the model's
    rate: cut at its end, or with silence on both sides.
    """
    sound = told["sound"]
    size, hop, length = sound["window"], sound["hop"], sound["fft"]
    fitted = fit(np.asarray(samples, np.float32), sound["samples"])
    hann = 0.5 - 0.5 * _turns(np.arange(size), size)[0]
    frames = np.lib.stride_tricks.sliding_window_view(fitted, size)[::hop].astype(np.float64)
    padded = np.zeros((len(frames), length))
    padded[:, :size] = frames * hann
    real_part, imaginary = _fourier(padded)
    total = _sum(hann)
    power = (real_part * real_part + imaginary * imaginary) / (total * total)
    banks = _banks(sound)
    energy = np.zeros((len(frames), banks.shape[1]))
    for place in range(length // 2 + 1):
        energy = energy + power[:, place : place + 1] * banks[place]
    return _logarithm(LEAST_ENERGY + energy).astype(np.float32)[None]


def fit(samples: np.ndarray, count: int) -> np.ndarray:
    """Exactly `count` samples: cut at the end, or silence on both sides, the shorter one first."""
    if len(samples) >= count:
        return samples[:count]
    before = (count - len(samples)) // 2
    return np.pad(samples, (before, count - len(samples) - before))


def _banks(sound: dict[str, Any]) -> np.ndarray:
    """Triangles (bins, mels) of height 1 between neighbouring edges."""
    edges = np.array(sound["edges_hz"])
    bins = (np.arange(sound["fft"] // 2 + 1) * sound["rate"] / sound["fft"])[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def _fourier(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts of the discrete Fourier transform of rows (frames, 2^k): radix 2,
    decimation in time.
    """
    length = x.shape[1]
    order = np.zeros(length, np.int64)
    step = length
    while (step := step // 2) >= 1:  # the order of reversed bits
        half = length // (2 * step)
        order[half : 2 * half] = order[:half] + step
    a, b = x[:, order], np.zeros_like(x)
    half = 1
    while half < length:
        cosine, sine = _turns(np.arange(half), 2 * half)
        a, b = (part.reshape(len(x), -1, 2, half) for part in (a, b))
        odd_a = cosine * a[:, :, 1] + sine * b[:, :, 1]
        odd_b = cosine * b[:, :, 1] - sine * a[:, :, 1]
        a, b = (
            np.stack([even + odd, even - odd], 2).reshape(len(x), length)
            for even, odd in ((a[:, :, 0], odd_a), (b[:, :, 0], odd_b))
        )
        half *= 2
    return a, b


def _turns(part: np.ndarray, whole: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of 2 pi part / whole, 0 <= part < whole, by Taylor's series up to pi / 4."""
    quarter, rest = 4 * part // whole, 4 * part % whole
    swap = 2 * rest > whole
    x = np.where(swap, whole - rest, rest) / whole * HALF_PI
    z = x * x
    cosine, sine = np.ones_like(x), np.ones_like(x)
    for term in range(9, 0, -1):
        cosine = 1.0 - z * cosine / ((2 * term - 1) * (2 * term))
        sine = 1.0 - z * sine / ((2 * term) * (2 * term + 1))
    sine = sine * x
    cosine, sine = np.where(swap, sine, cosine), np.where(swap, cosine, sine)
    odd = quarter % 2 == 1
    cosine, sine = np.where(odd, -sine, cosine), np.where(odd, cosine, sine)
    return np.where(quarter >= 2, -cosine, cosine), np.where(quarter >= 2, -sine, sine)


def _logarithm(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive normal numbers: ln(m 2^e) = e ln 2 + 2 artanh((m-1) / (m+1)),
    with m from the root of 1/2 to that of 2.
    """
    m, e = np.frexp(x)
    small = m < 0.7071067811865476
    m, e = np.where(small, m * 2.0, m), np.where(small, e - 1, e)
    f = (m - 1.0) / (m + 1.0)
    square = f * f
    series = np.full_like(x, 1.0 / 23.0)
    for term in range(21, 0, -2):
        series = series * square + 1.0 / term
    return e * LN2 + 2.0 * f * series


def _sum(values: np.ndarray) -> float:
    """One after the other: numpy's own sum takes another order."""
    total = 0.0
    for value in values.tolist():
        total += value
    return total


# ---------------------------------------------------------------- samples without data


def made_up(told: dict[str, Any], number: int) -> np.ndarray:
    """What every bundle can make itself to check itself by: a recording (N,) that sweeps through
    all frequencies, or pixels (h, w, C) with a pattern, or other numbers (*shape) 0 to 255.
    """
    if told["sound"] is not None:
        i = np.arange(told["sound"]["samples"], dtype=np.int64)
        return (((2 * number + 1) * i * i + 37 * i) % 65536).astype(np.float32) / 32768 - 1
    i = np.arange(int(np.prod(told["shape"])), dtype=np.int64)
    values = ((number + 1) * i * i + 7 * i + 101 * number) % 256
    if told["kind"] == "image" and told["peak"] is not None:
        channels, height, width = told["shape"]
        return values.reshape(height, width, channels).astype(np.uint8)
    return values.reshape(told["shape"]).astype(np.float32)
