// The files of a bundle, compared with its manifest before any is used.

import { sha256 } from "./sha256.js";

const FORMAT_VERSION = 1;

/** A bundle that is damaged, incomplete, or mixed from several. */
export class BundleError extends Error {
  constructor(problem) {
    super(problem);
    this.name = "BundleError";
  }
}

const broken = (problem) =>
  new BundleError(`This bundle cannot be used: ${problem}. Install it again, whole.`);

/** The content of every file that the manifest names, by its name. */
export async function readBundle(load) {
  const manifest = json(await got(load, "manifest.json"), "manifest.json");
  const files = {};
  for (const [name, told] of Object.entries(manifest.files ?? {})) {
    const content = await got(load, name);
    if (sha256(content) !== told.sha256)
      throw broken(`${name} is not the file that belongs to it (SHA-256)`);
    files[name] = content;
  }
  return files;
}

async function got(load, name) {
  try {
    const content = await load(name);
    return content instanceof Uint8Array ? content : new Uint8Array(content);
  } catch (error) {
    throw broken(`${name} cannot be loaded (${error.message})`);
  }
}

/** A JSON file of the bundle. */
export function json(content, name) {
  let told;
  try {
    told = JSON.parse(new TextDecoder().decode(content));
  } catch {
    throw broken(`${name} cannot be read`);
  }
  if (told?.format_version !== FORMAT_VERSION)
    throw broken(`${name} is of format ${told?.format_version}, and this code reads 1`);
  return told;
}

/** A file's bytes from where the bundler or the server has put it. */
export async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
