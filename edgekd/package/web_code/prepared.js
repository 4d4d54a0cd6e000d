// The model's input tensors, and those of the golden samples.

import { layOut, logMel, madeUp, normalise, picture } from "./arithmetic.js";
import { rawOf } from "./inputs.js";

/** Tensors {data, dims, type} by name, for raw samples by name. */
export const prepared = (raw, inputs) =>
  Object.fromEntries(
    inputs.map((told) => [told.name, layOut(normalise(raw[told.name], told), told)]),
  );

/** The tensors of a golden sample. */
export function ofGolden(sample, inputs) {
  if (sample.row) return prepared(rawOf(sample.row, inputs), inputs);
  if (sample.raw) {
    const raw = Object.entries(sample.raw).map(([name, told]) => [name, decoded(told)]);
    return prepared(Object.fromEntries(raw), inputs);
  }
  const [told] = inputs;
  let given = madeUp(told, sample.made_up);
  if (told.sound !== null) given = logMel(given, told);
  else if (told.kind === "image" && told.peak !== null) given = picture(given, told);
  return prepared({ [told.name]: given }, inputs);
}

function decoded({ dtype, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  if (dtype === "uint8") return bytes;
  return dtype === "int32" ? new Int32Array(bytes.buffer) : new Float32Array(bytes.buffer);
}

/** The bytes of a tensor. */
export const bytesOf = ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
