// A worker does one job: starts the runtime, loads the file, measures it as edgekd/agent/agent.py
// does, and sends the answers to the test data. It is a classic worker, because LiteRT.js loads its
// WebAssembly by importScripts.
"use strict";

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array,
  int16: Int16Array, uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array,
  int64: BigInt64Array, uint64: BigUint64Array, bool: Uint8Array,
};
const STEADY = 0.02, STEADY_BLOCKS = 3, BLOCK_MS = 10;
const CLOCK_SHARE = 0.01; // a timing is at least so long that the clock's step is 1 % of it
const BLUNT_US = 20e3; // a clock of longer steps than this is of no use

// Every WebAssembly memory of this worker; they grow and never shrink.
const memories = [];
{
  const { Memory, instantiate, instantiateStreaming } = WebAssembly;
  const noted = (result) => {
    const exported = (result.instance ?? result).exports ?? {};
    memories.push(...Object.values(exported).filter((value) => value instanceof Memory));
    return result;
  };
  WebAssembly.Memory = new Proxy(Memory, {
    construct(target, values) {
      const made = new target(...values);
      memories.push(made);
      return made;
    },
  });
  WebAssembly.instantiate = async (...given) => noted(await instantiate(...given));
  WebAssembly.instantiateStreaming = async (...given) => noted(await instantiateStreaming(...given));
}
const memory = () => [...new Set(memories)].reduce((sum, one) => sum + one.buffer.byteLength, 0);

// ---------------------------------------------------------------- the runtimes

// ONNX Runtime Web: `run` copies inputs in and outputs out.
const ort = {
  async start(order, base) {
    const gpu = order.backend === "webgpu";
    const url = new URL(gpu ? "ort/ort.webgpu.min.mjs" : "ort/ort.wasm.min.mjs", base);
    this.library = await import(url.href);
    this.library.env.wasm.wasmPaths = new URL("ort/", base).href;
    this.library.env.wasm.numThreads = Math.max(1, order.threads);
    this.library.env.logLevel = "error";
    this.options = { executionProviders: [order.backend] };
    // Its WebAssembly starts with the first session, which is not to count as loading the file.
    const first = await this.library.InferenceSession.create(new Uint8Array(IDENTITY), this.options);
    await first.release();
  },
  async load(octets) {
    this.session = await this.library.InferenceSession.create(octets, this.options);
  },
  place(parts) {
    const feeds = {};
    for (const { name, type, shape, values } of parts) {
      feeds[name] = new this.library.Tensor(type, values, shape);
    }
    return feeds;
  },
  async invoke(feeds) { this.answers = await this.session.run(feeds); },
  async output(name) { return this.answers[name].data; },
  remove() {},
};

// An ONNX model that gives its one number back: IR version 8, operators of version 13.
const IDENTITY = [8, 8, 58, 47, 10, 16, 10, 1, 120, 18, 1, 121, 34, 8, 73, 100, 101, 110, 116,
  105, 116, 121, 18, 1, 105, 90, 11, 10, 1, 120, 18, 6, 10, 4, 8, 1, 18, 0, 98, 11, 10, 1, 121,
  18, 6, 10, 4, 8, 1, 18, 0, 66, 4, 10, 0, 16, 13];

// LiteRT.js: inputs lie in its memory before `run`, outputs are new tensors of it. By WebGPU an
// inference is over when its answer has been read back.
const litert = {
  async start(order, base) {
    this.order = order;
    this.answers = [];
    const folder = new URL("litert/", base).href, threads = order.threads > 1;
    // Emscripten looks beside the worker for its WebAssembly, and starts the worker as its threads.
    self.Module = { locateFile: (name) => folder + name };
    if (threads) self.Module.mainScriptUrlOrBlob = `${folder}litert_wasm_threaded_internal.js`;
    this.library = await import(`${folder}index.js`);
    await this.library.loadLiteRt(folder, { threads });
  },
  async load(octets) {
    const cpuOptions = { numThreads: Math.max(1, this.order.threads) };
    this.model = await this.library.loadAndCompile(octets,
      { accelerator: this.order.backend, cpuOptions });
    this.outputs = this.model.getOutputDetails().map(({ name }) => name);
  },
  place(parts) {
    const named = Object.fromEntries(parts.map((part) => [part.name, part]));
    return this.model.getInputDetails().map(({ name }) => {
      const part = parts.length === 1 ? parts[0] : named[name];
      if (!part) throw new Error(`the file's input ${name} is not known by this name`);
      return new this.library.Tensor(part.values, part.shape);
    });
  },
  remove(placed) { for (const tensor of placed) tensor.delete(); },
  async invoke(placed) {
    this.remove(this.answers);
    this.answers = await this.model.run(placed);
    if (this.order.backend === "webgpu") this.read = await this.answers[0].data();
  },
  async output(name) {
    const at = this.outputs.length === 1 ? 0 : this.outputs.indexOf(name);
    if (at < 0) throw new Error(`the file's output ${name} is not known by this name`);
    return this.answers[at].data();
  },
};

const RUNTIMES = { ort, litert };

// ---------------------------------------------------------------- measuring

const median = (values) => Float64Array.from(values).sort()[values.length >> 1];
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// Times `batch` invocations together, again and again, until `least` such timings and `ms`
// milliseconds are reached, or `mostMs`; gives microseconds an invocation.
async function runs(model, placed, batch, least, ms, mostMs = Infinity, told = () => null) {
  const times = [];
  const begin = performance.now();
  let run = 0, stop = begin;
  while ((times.length < least || stop - begin < ms) && (stop - begin < mostMs || !times.length)) {
    const start = performance.now();
    for (let i = 0; i < batch; i++) await model.invoke(placed[run++ % placed.length]);
    stop = performance.now();
    times.push((1e3 * (stop - start)) / batch);
    told(times.length, stop - begin);
  }
  return times;
}

// So many invocations last as long as the clock needs, at first.
async function firstBatch(model, placed, timerUs) {
  const start = performance.now();
  let count = 0;
  do {
    await model.invoke(placed[count++ % placed.length]);
  } while (performance.now() - start < timerUs / CLOCK_SHARE / 1e3);
  return count;
}

// Runs until the medians of three successive blocks lie within 2 % of the least; gives the warm-up's
// figures, and how many invocations are to be timed together.
async function warmUp(model, placed, timerUs, order) {
  const bound = 1e3 * (order.warmup_seconds ?? 0.6), least = Math.max(1, order.warmup_runs ?? 1);
  const batch = await firstBatch(model, placed, timerUs);
  const begin = performance.now(), medians = [], times = [];
  let steady = false;
  while (times.length * batch < least || (!steady && performance.now() - begin < bound)) {
    const left = Math.max(0, bound - (performance.now() - begin));
    const block = await runs(model, placed, batch, 5, BLOCK_MS, left);
    times.push(...block);
    medians.push(median(block));
    const last = medians.slice(-STEADY_BLOCKS);
    steady = last.length === STEADY_BLOCKS && Math.max(...last) <= (1 + STEADY) * Math.min(...last);
  }
  const seconds = (performance.now() - begin) / 1e3;
  const found = { runs: times.length * batch, seconds, mean_us: mean(times), steady };
  return [found, Math.ceil(timerUs / CLOCK_SHARE / medians.at(-1))];
}

// ---------------------------------------------------------------- a job

const step = (share, text) => postMessage({ share, step: text });

async function get(job, name) {
  const answer = await fetch(new URL(name, job.base),
    { headers: { "X-Edgekd-Session": job.session }, cache: "no-store" });
  if (!answer.ok) throw new Error(`${name}: ${await answer.text()}`);
  return answer.arrayBuffer();
}

async function send(job, name, octets) {
  const answer = await fetch(new URL(`jobs/${job.order.number}/${name}`, job.base),
    { method: "POST", headers: { "X-Edgekd-Session": job.session }, body: octets });
  if (!answer.ok) throw new Error(`${name}: ${await answer.text()}`);
}

// Octets as the inputs of `rows` samples: one input after the other.
function cut(order, buffer, offset, rows) {
  return order.inputs.map(({ name, type, shape }) => {
    const kind = ARRAYS[type];
    if (!kind) throw new Error(`inputs of ${type} cannot be given from a page`);
    const full = rows === null ? shape : [rows, ...shape.slice(1)];
    const length = full.reduce((product, size) => product * size, 1);
    const octets = buffer.slice(offset, offset + length * kind.BYTES_PER_ELEMENT);
    offset += octets.byteLength;
    return { name, type, shape: full, values: new kind(octets) };
  });
}

function bytesOf(order, rows) {
  return cut(order, new ArrayBuffer(0), 0, 0).reduce((sum, _part, i) => {
    const { type, shape } = order.inputs[i];
    const each = (rows === null ? shape : shape.slice(1)).reduce((a, b) => a * b, 1);
    return sum + each * (rows ?? 1) * ARRAYS[type].BYTES_PER_ELEMENT;
  }, 0);
}

async function measure(job, model) {
  const { order, timerUs } = job;
  const octets = await get(job, `jobs/${order.number}/inputs/feeds`);
  const size = bytesOf(order, null);
  const placed = Array.from({ length: order.feeds },
    (_, i) => model.place(cut(order, octets, i * size, null)));
  const begin = performance.now();
  await model.invoke(placed[0]);
  const first_us = 1e3 * (performance.now() - begin);
  step(0.1, "Warming up");
  const [warmup, batch] = await warmUp(model, placed, timerUs, order);
  const peak = memory();
  const least = Math.max(1, order.min_runs ?? 200), ms = 1e3 * (order.min_seconds ?? 3);
  const most = order.max_seconds ? 1e3 * order.max_seconds : Infinity;
  let next = 0;
  const times = await runs(model, placed, batch, least, ms, most, (count, spent) => {
    if (spent < next) return;
    next = spent + 250; // the page is told seldom: it shares the processor
    step(0.1 + 0.8 * Math.min(1, count / least, spent / ms), "Measuring");
  });
  return { times, peak, figures: { first_us, warmup, batch, timer_us: timerUs } };
}

// The answers to a part of the test data, in batches as the agent runs them.
async function answer(job, model, part) {
  const { order } = job;
  const rows = order.parts[part];
  const octets = await get(job, `jobs/${order.number}/inputs/${part}`);
  const all = cut(order, octets, 0, rows);
  const found = [];
  for (let start = 0; start < rows; start += order.batch) {
    const count = Math.min(order.batch, rows - start);
    const inputs = all.map(({ name, type, shape, values }) => {
      const each = values.length / rows;
      return { name, type, shape: [count, ...shape.slice(1)],
        values: values.slice(start * each, (start + count) * each) };
    });
    const placed = model.place(inputs);
    await model.invoke(placed);
    found.push(Uint8Array.from(octetsOf(await model.output(order.answer))));
    model.remove(placed);
  }
  await send(job, `outputs/${part}`, await new Blob(found).arrayBuffer());
  return rows;
}

const octetsOf = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

async function perform(job) {
  const { order, timerUs } = job;
  if (timerUs > BLUNT_US) throw new Error(`this browser's clock steps by ${timerUs / 1e3} ms`);
  const model = RUNTIMES[order.runtime];
  await model.start(order, job.base);
  const octets = new Uint8Array(await get(job, order.model));
  step(0.05, "Loading the file");
  const before = memory(), begin = performance.now();
  await model.load(octets);
  const load_ms = performance.now() - begin, loaded = memory();
  const { times, peak, figures } = await measure(job, model);
  await send(job, "times", Float64Array.from(times));
  let answers = 0;
  for (let part = 0; part < order.parts.length; part++) {
    step(0.9 + 0.1 * (part / order.parts.length), "Answering the test data");
    answers += await answer(job, model, part);
  }
  const result = { ...figures, load_ms, memory: peak, memory_load: loaded - before,
    memory_growth: peak - before };
  postMessage({ result, p50: median(times), answers });
}

onmessage = ({ data }) => {
  perform(data).catch((error) => postMessage({ problem: String(error?.message ?? error) }));
};
