// What an app gives, as raw samples: arrays, channels first, by the name of the model's input.

import { logMel, picture, sizeOf } from "./arithmetic.js";

const MISSING = new Set(["", "na", "n/a", "nan", "null", "none", "?", "-"]);
const LARGEST = 3.4028234663852886e38;

/** Whether a sample is a row of named columns. */
export const isTable = (inputs) =>
  inputs.some((part) => part.columns.length > 0 && ["row", "codes"].includes(part.kind));

/**
 * A sample as the app has it; a TypeError says what the model takes.
 */
export function rawOf(given, inputs) {
  if (isTable(inputs)) return row(given, inputs);
  if (inputs.length > 1) {
    check(typeof given === "object" && given !== null, "give an array for each input, by name");
    return Object.fromEntries(inputs.map((told) => [told.name, numbers(given[told.name], told)]));
  }
  const [told] = inputs;
  if (told.sound !== null) return { [told.name]: logMel(recording(given), told) };
  if (told.kind === "image" && told.peak !== null)
    return { [told.name]: picture(pixels(given), told) };
  return { [told.name]: numbers(given, told) };
}

function pixels(given) {
  const eight = given?.data instanceof Uint8Array || given?.data instanceof Uint8ClampedArray;
  check(eight, "a picture is {data, width, height}, data of 8-bit pixels, as ImageData");
  const has = given.data.length / (given.width * given.height);
  check([1, 3, 4].includes(has), "the pixels are not width * height * 1, 3 or 4 bytes");
  return given;
}

function recording(given) {
  const known = given instanceof Float32Array || given instanceof Int16Array;
  check(known && given.length > 0, "samples are a Float32Array within -1..1, or an Int16Array");
  if (given instanceof Int16Array) return Float32Array.from(given, (value) => value / 32768);
  check(given.every(Number.isFinite), "a sample is not finite");
  return given;
}

function numbers(given, told) {
  const size = sizeOf(told.shape);
  const fits = given?.length === size && typeof given !== "string";
  check(fits, `${told.name}: ${size} numbers are taken (${told.shape.join(" x ")})`);
  if (told.kind === "codes") return Int32Array.from(given);
  const small = Float32Array.from(given);
  check(small.every(Number.isFinite), `${told.name}: a value is not finite`);
  return small;
}

function row(given, inputs) {
  const columns = inputs.flatMap((part) => part.columns);
  check(typeof given === "object" && given !== null, `a row has the columns ${columns}`);
  for (const column of columns)
    check(column in given, `the row has no column ${column}; give null where a value is missing`);
  return Object.fromEntries(
    inputs.map((part) => [
      part.name,
      part.kind === "codes"
        ? Int32Array.from(part.columns, (name, i) => code(given[name], part.vocabulary[i], name))
        : Float32Array.from(part.columns, (name, i) => number(given[name], part.mean[i], name)),
    ]),
  );
}

function number(value, mean, column) {
  if (value == null || Number.isNaN(value)) return mean;
  if (typeof value === "string" && MISSING.has(value.trim().toLowerCase())) return mean;
  check(typeof value === "number", `${column} is a number`);
  check(Math.abs(value) <= LARGEST, `${column} is not finite`);
  return value;
}

function code(value, words, column) {
  if (value == null) return 0;
  const plain = typeof value === "string" || Number.isInteger(value);
  check(plain, `${column} is a text or a whole number`);
  return words.indexOf(String(value).trim()) + 1;
}

function check(right, problem) {
  if (!right) throw new TypeError(problem);
}
