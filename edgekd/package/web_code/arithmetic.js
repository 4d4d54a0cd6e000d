// From a raw sample to the numbers that a model takes, to the bit the same in every language: the
// arithmetic of docs/package.md of edgekd. Math.fround rounds to float32; nothing here calls a sine
// or a logarithm of the engine, which round differently from one to the next.

const LN2 = 0.6931471805599453;
const HALF_PI = 1.5707963267948966;
const LEAST_ENERGY = 1e-9;
const WEIGHT_BITS = 22;
const fround = Math.fround;

/** Numbers of a shape. */
export const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);

/** (raw - mean) / std of a sample, channels first, in float32; codes as they are. */
export function normalise(raw, told) {
  if (told.kind === "codes") return Int32Array.from(raw);
  const inner = sizeOf(told.shape.slice(1));
  const [mean, std] = [told.mean.map(fround), told.std.map(fround)];
  const found = new Float32Array(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const channel = mean.length === 1 ? 0 : Math.floor(i / inner);
    const difference = fround(fround(raw[i]) - mean[channel]);
    found[i] = difference / std[std.length === 1 ? 0 : channel];
  }
  return found;
}

/** A normalised sample as the model's tensor: its data, and its dimensions with a batch of 1. */
export function layOut(x, told) {
  let [data, dims] = [x, [1, ...told.shape]];
  if (told.layout === "NHWC" && told.shape.length === 3) {
    const [channels, height, width] = told.shape;
    data = new x.constructor(x.length);
    for (let c = 0, from = 0; c < channels; c++)
      for (let place = 0; place < height * width; place++) data[place * channels + c] = x[from++];
    dims = [1, height, width, channels];
  }
  if (told.dtype === "int8") data = Int8Array.from(data, (value) => quantized(value, told));
  return { data, dims, type: told.dtype };
}

function quantized(value, told) {
  const steps = fround(value / fround(told.quantization.scale));
  return Math.min(127, Math.max(-128, halfToEven(steps) + told.quantization.zero_point));
}

function halfToEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** An output tensor's numbers in float32. */
export function real(data, told) {
  if (told.quantization === null) return Float32Array.from(data);
  const scale = fround(told.quantization.scale);
  return Float32Array.from(data, (q) => fround(q - told.quantization.zero_point) * scale);
}

// ---------------------------------------------------------------- pictures

/** Pixels {data, width, height}, of 1, 3 or 4 channels, as a raw sample, channels first. */
export function picture(pixels, told) {
  const [channels, height, width] = told.shape;
  const count = pixels.width * pixels.height;
  const has = pixels.data.length / count;
  const planes = [];
  for (let c = 0; c < channels; c++) {
    const plane = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      const at = i * has;
      if (has === 1) plane[i] = pixels.data[at];
      else if (channels === 1) plane[i] = luma(pixels.data, at);
      else plane[i] = pixels.data[at + c];
    }
    planes.push(plane);
  }
  const factor = fround(told.peak / 255);
  const found = new Float32Array(sizeOf(told.shape));
  const across = weights(pixels.width, width);
  const down = weights(pixels.height, height);
  planes.forEach((plane, c) => {
    const rows = resizeLines(plane, pixels.height, 1, pixels.width, across);
    const small = resizeLines(rows, width, width, 1, down);
    // both passes write line by line: the second one's lines are columns
    for (let x = 0, from = 0; x < width; x++)
      for (let y = 0; y < height; y++)
        found[(c * height + y) * width + x] = small[from++] * factor;
  });
  return found;
}

const luma = (data, at) =>
  (19595 * data[at] + 38470 * data[at + 1] + 7471 * data[at + 2] + 32768) >> 16;

/** Of each new pixel: the first old one that it sees, and the weights from there, in 2^22ths. */
function weights(size, wanted) {
  const scale = size / wanted;
  const spread = Math.max(scale, 1);
  return Array.from({ length: wanted }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - spread + 0.5));
    const last = Math.min(size, Math.trunc(centre + spread + 0.5));
    const near = [];
    let total = 0;
    for (let i = first; i < last; i++) {
      near.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) * (1 / spread))));
      total += near[near.length - 1];
    }
    const whole = near.map((one) => Math.trunc((one / total) * 2 ** WEIGHT_BITS + 0.5));
    return { first, whole };
  });
}

/** Lines of pixels resized: `step` from a pixel to the next, `pitch` from a line to the next. */
function resizeLines(plane, lines, step, pitch, taken) {
  const found = new Uint8Array(lines * taken.length);
  let to = 0;
  for (let line = 0; line < lines; line++) {
    for (const { first, whole } of taken) {
      let sum = 2 ** (WEIGHT_BITS - 1);
      let at = line * pitch + first * step;
      for (const weight of whole) {
        sum += weight * plane[at];
        at += step;
      }
      found[to++] = Math.min(255, Math.max(0, sum >> WEIGHT_BITS));
    }
  }
  return found;
}

// ---------------------------------------------------------------- sound

/** Log-mel features, frames by mels, of samples at the model's rate. */
export function logMel(samples, told) {
  const { window: size, hop, fft: length, samples: count } = told.sound;
  const fitted = fit(samples, count);
  const hann = Array.from({ length: size }, (_, n) => 0.5 - 0.5 * turns(n, size)[0]);
  const total = hann.reduce((sum, weight) => sum + weight, 0);
  const banks = melBanks(told.sound);
  const frames = 1 + Math.floor((count - size) / hop);
  const found = new Float32Array(frames * banks.length);
  for (let frame = 0; frame < frames; frame++) {
    const [a, b] = [new Float64Array(length), new Float64Array(length)];
    for (let n = 0; n < size; n++) a[n] = fitted[frame * hop + n] * hann[n];
    fourier(a, b);
    const power = a.subarray(0, length / 2 + 1);
    for (let k = 0; k < power.length; k++)
      power[k] = (a[k] * a[k] + b[k] * b[k]) / (total * total);
    banks.forEach((bank, m) => {
      let energy = 0;
      for (const [k, weight] of bank) energy += power[k] * weight;
      found[frame * banks.length + m] = logarithm(LEAST_ENERGY + energy);
    });
  }
  return found;
}

function fit(samples, count) {
  if (samples.length >= count) return samples.subarray(0, count);
  const found = new Float32Array(count);
  found.set(samples, Math.floor((count - samples.length) / 2));
  return found;
}

/** Of each filter, the frequencies that it weighs, ascending, with their weights. */
function melBanks({ edges_hz: edges, fft, rate }) {
  return edges.slice(2).map((right, m) => {
    const [left, centre] = [edges[m], edges[m + 1]];
    const bank = [];
    for (let k = 0; k <= fft / 2; k++) {
      const hertz = (k * rate) / fft;
      const rising = (hertz - left) / (centre - left);
      const weight = Math.min(rising, (right - hertz) / (right - centre));
      if (weight > 0) bank.push([k, weight]);
    }
    return bank;
  });
}

/** Discrete Fourier transform in place, real and imaginary parts: radix 2, decimation in time. */
function fourier(a, b) {
  const length = a.length;
  for (let i = 1, j = 0; i < length; i++) {
    let bit = length >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [a[i], a[j]] = [a[j], a[i]];
      [b[i], b[j]] = [b[j], b[i]];
    }
  }
  for (let half = 1; half < length; half *= 2) {
    for (let j = 0; j < half; j++) {
      const [cosine, sine] = turns(j, 2 * half);
      for (let even = j; even < length; even += 2 * half) {
        const odd = even + half;
        const oddA = cosine * a[odd] + sine * b[odd];
        const oddB = cosine * b[odd] - sine * a[odd];
        [a[odd], b[odd]] = [a[even] - oddA, b[even] - oddB];
        [a[even], b[even]] = [a[even] + oddA, b[even] + oddB];
      }
    }
  }
}

/** Cosine and sine of 2 pi part / whole, 0 <= part < whole. */
export function turns(part, whole) {
  const quarter = Math.floor((4 * part) / whole);
  const rest = 4 * part - quarter * whole;
  const swap = 2 * rest > whole;
  const x = ((swap ? whole - rest : rest) / whole) * HALF_PI;
  const z = x * x;
  let [cosine, sine] = [1, 1];
  for (let term = 9; term > 0; term--) {
    cosine = 1 - (z * cosine) / ((2 * term - 1) * (2 * term));
    sine = 1 - (z * sine) / (2 * term * (2 * term + 1));
  }
  sine *= x;
  if (swap) [cosine, sine] = [sine, cosine];
  if (quarter % 2 === 1) [cosine, sine] = [-sine, cosine];
  return quarter >= 2 ? [-cosine, -sine] : [cosine, sine];
}

const bits = new DataView(new ArrayBuffer(8));

/** Natural logarithm of a positive normal number. */
export function logarithm(x) {
  bits.setFloat64(0, x);
  const high = bits.getUint32(0);
  let e = ((high >>> 20) & 0x7ff) - 1022;
  bits.setUint32(0, (high & 0x800fffff) | (1022 << 20));
  let m = bits.getFloat64(0);
  if (m < 0.7071067811865476) [m, e] = [m * 2, e - 1];
  const f = (m - 1) / (m + 1);
  const square = f * f;
  let series = 1 / 23;
  for (let term = 21; term > 0; term -= 2) series = series * square + 1 / term;
  return e * LN2 + 2 * f * series;
}

// ---------------------------------------------------------------- samples without data

/** What every bundle can make itself to check itself by; see docs/package.md. */
export function madeUp(told, number) {
  if (told.sound !== null) {
    return Float32Array.from(
      { length: told.sound.samples },
      (_, i) => (((2 * number + 1) * i * i + 37 * i) % 65536) / 32768 - 1,
    );
  }
  const values = Array.from(
    { length: sizeOf(told.shape) },
    (_, i) => ((number + 1) * i * i + 7 * i + 101 * number) % 256,
  );
  if (told.kind !== "image" || told.peak === null) return Float32Array.from(values);
  return { data: Uint8Array.from(values), width: told.shape[2], height: told.shape[1] };
}
