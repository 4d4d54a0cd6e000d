"""Web: an npm package over ONNX Runtime Web, an ES module with its types.

The files are found by `new URL(..., import.meta.url)`, which browsers and bundlers understand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from edgekd.package.archive import tar_gz_bytes
from edgekd.package.asked import Asked, asked_of
from edgekd.package.contents import contents
from edgekd.package.deployable import Deployable, DeployedFile
from edgekd.package.manifest import as_json
from edgekd.spec import ModelSpec

FORMATS = ("onnx",)
CODE = "edgekd.package.web_code"
RUNTIME = {"onnxruntime-web": "^1.20.0"}

INDEX = """// {artefact} {version}: a model with its preprocessing. See data/MODEL_CARD.md.

import {{ fetched }} from "./bundle.js";
import {{ Model }} from "./model.js";

export {{ BundleError }} from "./bundle.js";

const FILES = {{
{files}
}};

export class {name} extends Model {{
  static create({{ threads, load }} = {{}}) {{
    return this.load(load ?? ((file) => fetched(FILES[file])), threads);
  }}

  {asks}({argument}) {{
    return this.{inner}({argument});
  }}
}}
"""
TYPES = """// {artefact} {version}

/** One possible answer. */
export interface Category {{
  readonly label: string;
  /** Its probability as the model sees it, 0 to 1; of several labels, each by itself. */
  readonly score: number;
}}
{extra}
/** A bundle that is damaged, incomplete, or mixed from several. */
export declare class BundleError extends Error {{}}

export interface Options {{
  /** Threads; more than one need a page that is cross-origin isolated. */
  readonly threads?: number;
  /** Gives the bytes of a file of the package's `data`, where they are kept elsewhere. */
  readonly load?: (name: string) => Promise<ArrayBuffer | Uint8Array>;
}}

/** The model, loaded and checked. */
export declare class {name} {{
  private constructor();
  static create(options?: Options): Promise<{name}>;
  /** All labels in the model's order. */
  readonly labels: readonly string[];
  /** {told} A TypeError tells what is no sample: {what}. */
  {asks}({argument}: {type}): Promise<{answer}>;
  /** Asks about the golden samples, and gives their number; a BundleError tells what is wrong. */
  selfCheck(): Promise<number>;
  close(): Promise<void>;
}}
"""
PIXELS = """
/** Pixels row by row, 1, 3 or 4 bytes each: an ImageData is one. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}
"""


class Web:
    """See the module."""

    def write(self, model: Deployable, out: Path) -> DeployedFile:
        """See `Target.write`."""
        file = model.file("web", FORMATS)
        data = contents(model, file)
        files = {"package.json": as_json(_package(model, file)), **_code(model, data)}
        files |= {f"data/{name}": content for name, content in data.items()}
        archive = {f"package/{path}": content for path, content in files.items()}
        name = f"{model.names.artefact}-{model.version}.tgz"
        (out / name).write_bytes(tar_gz_bytes(archive))
        return file


def _package(model: Deployable, file: DeployedFile) -> dict[str, object]:
    told: dict[str, object] = {
        "name": model.names.artefact,
        "version": model.version,
        "description": file.facts["description"],
        "type": "module",
        "exports": {
            ".": {"types": "./index.d.ts", "default": "./index.js"},
            "./data/*": "./data/*",
        },
        "types": "./index.d.ts",
        "dependencies": RUNTIME,
    }
    told |= {key: file.facts[key] for key in ("author", "license") if file.facts[key]}
    return told


def _code(model: Deployable, data: Iterable[str]) -> dict[str, bytes]:
    """The package's modules: edgekd's own, and the two that know the model."""
    spec, names, asked = model.spec, model.names, asked_of(model.spec)
    regression = spec.task == "regression"
    words = {
        "artefact": names.artefact,
        "version": model.version,
        "name": names.class_name,
        "asks": names.asks,
        "argument": asked.name,
        "inner": "numbers" if regression else "categories",
    }
    files = "\n".join(f'  "{n}": new URL("./data/{n}", import.meta.url),' for n in sorted(data))
    types = TYPES.format(
        **words,
        extra=_types(asked, spec),
        type=TYPE_NAMES[asked.kind],
        what=asked.about,
        answer=_answer(spec),
        told="The answer in the target's own unit."
        if regression
        else "All labels with their scores, the best first.",
    )
    own = {
        each.name: each.read_bytes()
        for each in sorted(resources.files(CODE).iterdir(), key=lambda each: each.name)
        if each.name.endswith(".js")
    }
    index = INDEX.format(**words, files=files)
    return {"index.js": index.encode(), "index.d.ts": types.encode(), **own}


TYPE_NAMES = {
    "pixels": "Pixels",
    "samples": "Float32Array | Int16Array",
    "row": "Row",
    "several": "Readonly<Record<string, ArrayLike<number>>>",
    "values": "ArrayLike<number>",
}
"""Of the argument, by `Asked.kind`."""


def _types(asked: Asked, spec: ModelSpec) -> str:
    if asked.kind == "pixels":
        return PIXELS
    if asked.kind != "row":
        return ""
    lines = [
        f"  readonly {json.dumps(column)}: {'string | number' if codes else 'number'} | null;"
        for part in spec.input.inputs
        for codes in [part.kind == "codes"]
        for column in part.columns
    ]
    head = "\n/** A row; null where a value is missing. */\nexport interface Row {\n"
    return head + "\n".join(lines) + "\n}\n"


def _answer(spec: ModelSpec) -> str:
    if spec.task != "regression":
        return "Category[]"
    if len(spec.labels) == 1:
        return "number"
    return "{ " + " ".join(f"readonly {json.dumps(name)}: number;" for name in spec.labels) + " }"


TARGET = Web()
