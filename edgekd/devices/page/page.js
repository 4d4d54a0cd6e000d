// The page: tells what the browser is, asks for jobs, gives each to a fresh worker, and shows them.

const BASE = new URL(".", location.href);
const KEPT = `edgekd ${BASE.pathname}`; // a page that is loaded again goes on with its session
const ALIVE_MS = 2000;
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0,
  253, 15, 253, 98, 11]; // i8x16.splat, i8x16.popcnt
const RELAXED = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0,
  65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11]; // i8x16.relaxed_swizzle
const $ = (id) => document.getElementById(id);

let session = sessionStorage.getItem(KEPT) ?? "";
let hidden = document.hidden;
document.addEventListener("visibilitychange", () => { hidden ||= document.hidden; });

function post(name, value, more = {}) {
  const headers = { "Content-Type": "application/json", "X-Edgekd-Session": session };
  return fetch(new URL(name, BASE), { method: "POST", headers, body: JSON.stringify(value), ...more });
}

function state(text, kind = "") {
  $("state").textContent = text;
  $("state").className = kind;
}

// The steps of performance.now: half of those seen are no longer than this, in microseconds.
function clockSteps() {
  const steps = [];
  let last = performance.now();
  const end = last + 400;
  while (steps.length < 101 && last < end) {
    const now = performance.now();
    if (now > last) steps.push(now - last);
    last = now;
  }
  steps.sort((a, b) => a - b);
  return 1e3 * (steps[steps.length >> 1] ?? 400);
}

async function graphics() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!adapter) return null;
  const info = adapter.info ?? {};
  return {
    name: [info.vendor, info.architecture, info.description].filter(Boolean).join(" ") || "WebGPU",
    fallback: Boolean(info.isFallbackAdapter ?? adapter.isFallbackAdapter),
  };
}

async function facts() {
  const wanted = ["platformVersion", "model", "architecture"];
  const data = await navigator.userAgentData?.getHighEntropyValues(wanted).catch(() => null);
  const threads = self.crossOriginIsolated && typeof SharedArrayBuffer !== "undefined";
  return {
    user_agent: navigator.userAgent,
    platform: data?.platform || navigator.platform || "",
    platform_version: data?.platformVersion ?? "",
    model: data?.model ?? "",
    architecture: data?.architecture ?? "",
    hardware_concurrency: navigator.hardwareConcurrency ?? 1,
    memory_gb: navigator.deviceMemory ?? null,
    cross_origin_isolated: Boolean(self.crossOriginIsolated),
    secure_context: self.isSecureContext,
    threads,
    timer_us: clockSteps(),
    simd: WebAssembly.validate(new Uint8Array(SIMD)),
    relaxed_simd: WebAssembly.validate(new Uint8Array(RELAXED)),
    webgpu: await graphics(),
  };
}

// "Chrome 131" and the like of what a browser calls itself.
function browserName(agent) {
  const names = [/(Firefox)\/(\d+)/, /(Edg)[A-Za-z]*\/(\d+)/, /(OPR)\/(\d+)/,
    /(SamsungBrowser)\/(\d+)/, /((?:Headless)?Chrome)\/(\d+)/, /Version\/(\d+).*(Safari)/];
  const found = names.map((name) => agent.match(name)).find(Boolean);
  if (!found) return agent;
  return (found[2] === "Safari" ? [found[2], found[1]] : found.slice(1, 3)).join(" ");
}

function showFacts(found) {
  const rows = {
    Threads: found.threads ? `up to ${found.hardware_concurrency}`
      : "one only: this page is not isolated from others",
    WebGPU: found.webgpu ? found.webgpu.name + (found.webgpu.fallback ? ", emulated" : "") : "none",
    "Clock's steps": `${Number(found.timer_us.toPrecision(3))} µs`,
    SIMD: found.relaxed_simd ? "128 bits, relaxed" : found.simd ? "128 bits" : "none",
    System: [found.platform, found.platform_version, found.model].filter(Boolean).join(" "),
    Browser: browserName(found.user_agent),
  };
  $("facts").replaceChildren(...Object.entries(rows).flatMap(([name, text]) => {
    const [left, right] = [document.createElement("dt"), document.createElement("dd")];
    left.textContent = name;
    right.textContent = text;
    return [left, right];
  }));
}

// Three digits in a fitting unit.
function duration(us) {
  const [value, unit] = us < 1e3 ? [us, "µs"] : us < 1e6 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
  return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${unit}`;
}

const shown = new Map(); // by title: the row, each start's median in microseconds, answers

// A start's median in microseconds and how many answers it sent; or null, and why it failed.
function showResult(title, p50, more) {
  $("wait").hidden = true;
  if (!shown.has(title)) {
    const row = document.createElement("li");
    for (const part of ["b", "small", "output"]) row.append(document.createElement(part));
    $("results").append(row);
    shown.set(title, { row, medians: [], answers: 0 });
  }
  const kept = shown.get(title);
  const { row, medians } = kept;
  const [name, note, output] = row.children;
  name.textContent = title;
  row.className = p50 === null ? "failed" : "";
  if (p50 === null) {
    output.textContent = "failed";
    note.textContent = more;
    return;
  }
  medians.push(p50);
  kept.answers ||= more;
  const sorted = [...medians].sort((a, b) => a - b);
  const middle = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
  output.textContent = duration(middle);
  const starts = `${medians.length} start${medians.length === 1 ? "" : "s"}`;
  const answers = kept.answers ? ` · ${kept.answers} answers` : "";
  note.textContent = `median · ${starts}${answers}`;
}

function progress(share, text) {
  $("done").style.width = `${Math.round(100 * share)}%`;
  document.querySelector(".bar").setAttribute("aria-valuenow", String(Math.round(100 * share)));
  $("step").textContent = text;
}

// Runs a job in a fresh worker; resolves when its result, or its problem, was sent, and rejects when
// that cannot be.
function run(order, timerUs) {
  $("now").hidden = false;
  $("wait").hidden = true;
  $("title").textContent = order.title;
  progress(0, "Loading the runtime");
  hidden = document.hidden;
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("worker.js", BASE));
    const fail = (text) => {
      worker.terminate();
      showResult(order.title, null, text);
      post(`jobs/${order.number}/problem`, { problem: text }).then(resolve, reject);
    };
    worker.onerror = (event) => fail(event.message || "the worker could not be started");
    worker.onmessage = ({ data }) => {
      if (data.step) return progress(data.share, data.step);
      if (data.problem) return fail(data.problem);
      worker.terminate();
      progress(1, "Sending the result");
      post(`jobs/${order.number}/result`, { ...data.result, hidden }).then((sent) => {
        if (sent.ok) showResult(order.title, data.p50, data.answers);
        resolve();
      }).catch(reject);
    };
    worker.postMessage({ order, base: BASE.href, session, timerUs });
  });
}

async function main() {
  const found = await facts();
  showFacts(found);
  const hello = await post("hello", found);
  if (!hello.ok) return state(await hello.text(), "failed");
  session = (await hello.json()).session;
  sessionStorage.setItem(KEPT, session);
  addEventListener("pagehide", () => post("bye", {}, { keepalive: true }));
  const alive = setInterval(() => post("alive", {}).catch(() => null), ALIVE_MS);
  navigator.wakeLock?.request("screen").catch(() => null);
  state("Connected");
  try {
    for (let seen = 0; ;) {
      const answer = await post("next", { seen });
      if (!answer.ok) return state(await answer.text(), "failed");
      const order = await answer.json();
      if (order.over) break;
      if (!order.number) continue;
      state("Measuring", "works");
      await run(order, found.timer_us);
      seen = order.number;
      $("now").hidden = true;
      state("Connected");
    }
  } finally {
    clearInterval(alive); // a page that does no more jobs must not seem to be there
  }
  $("now").hidden = true;
  $("wait").hidden = true;
  state("Done", "done");
  $("keep").textContent = "The results are with edgekd. This page may be closed.";
}

main().catch((error) => {
  $("now").hidden = true;
  state(error instanceof TypeError ? "The connection was lost" : String(error), "failed");
});
