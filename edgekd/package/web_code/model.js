// A bundle's model, loaded: from what an app has to an answer.

import * as ort from "onnxruntime-web/wasm";
import { real } from "./arithmetic.js";
import { BundleError, json, readBundle } from "./bundle.js";
import { rawOf } from "./inputs.js";
import { bytesOf, ofGolden, prepared } from "./prepared.js";
import { sha256 } from "./sha256.js";

export class Model {
  #spec;
  #golden;
  #session;
  #last = Promise.resolve();

  /** Loads and checks the files that `load` gives by name. */
  static async load(load, threads) {
    const files = await readBundle(load);
    const model = new this();
    model.#spec = json(files["spec.json"], "spec.json");
    model.#golden = json(files["golden.json"], "golden.json");
    if (threads !== undefined) ort.env.wasm.numThreads = threads;
    try {
      model.#session = await ort.InferenceSession.create(files[model.#spec.model], {
        executionProviders: ["wasm"],
      });
    } catch (error) {
      throw new BundleError(`ONNX Runtime cannot load ${model.#spec.model}: ${error.message}`);
    }
    return model;
  }

  /** All labels in the model's order. */
  get labels() {
    return this.#spec.labels;
  }

  /** All labels with their scores, the best first. */
  async categories(given) {
    const logits = await this.#logits(given);
    const scores = this.#spec.task === "multilabel" ? sigmoid(logits) : softmax(logits);
    return this.labels
      .map((label, i) => ({ label, score: scores[i] }))
      .sort((a, b) => b.score - a.score);
  }

  /** A regression's answer: a number, or of several targets a number by name. */
  async numbers(given) {
    const { target_std: std, target_mean: mean } = this.#spec;
    const values = Array.from(await this.#logits(given), (one, i) => one * std[i] + mean[i]);
    if (values.length === 1) return values[0];
    return Object.fromEntries(this.labels.map((label, i) => [label, values[i]]));
  }

  /** Asks about the golden samples, and gives their number. */
  async selfCheck() {
    const { samples, tolerance } = this.#golden;
    for (const [number, sample] of samples.entries()) {
      const tensors = ofGolden(sample, this.#spec.inputs);
      for (const [name, wanted] of Object.entries(sample.inputs))
        if (sha256(bytesOf(tensors[name])) !== wanted)
          throw new BundleError(`Golden sample ${number}: the input ${name} is another.`);
      const got = await this.#output(tensors);
      const farthest = Math.max(...sample.output.map((value, i) => Math.abs(got[i] - value)));
      if (!(farthest <= tolerance))
        throw new BundleError(
          `Golden sample ${number}: an output differs by ${farthest}, and ${tolerance} is allowed.`,
        );
    }
    return samples.length;
  }

  /** Frees what the model holds. */
  async close() {
    await this.#last;
    await this.#session.release();
  }

  async #logits(given) {
    const { inputs, output } = this.#spec;
    return real(await this.#output(prepared(rawOf(given, inputs), inputs)), output);
  }

  /** One inference after the other: a session runs one at a time. */
  #output(tensors) {
    const feed = Object.entries(tensors).map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type, data, dims),
    ]);
    const run = async () => {
      const found = await this.#session.run(Object.fromEntries(feed));
      return found[this.#spec.output.name].data;
    };
    const result = this.#last.then(run);
    this.#last = result.catch(() => {});
    return result;
  }
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp(value - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

const sigmoid = (logits) => Array.from(logits, (value) => 0.5 * (1 + Math.tanh(value / 2)));
