"""The npm package: the same inputs to the bit in JavaScript, in a browser, with types that hold."""

from __future__ import annotations

import functools
import http.server
import json
import os
import queue
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from made_runs import KEY, MODELS, MORE, SOUND, make_run, raw_samples, readme_lines

from edgekd.data import sound
from edgekd.package.linux_code import arithmetic
from edgekd.package.spec_file import _sound
from edgekd.package.write import package
from edgekd.pipeline import read_summary
from edgekd.runtimes import load
from edgekd.runtimes.predict import softmax

sys.path.append(str(Path(__file__).resolve().parents[1] / "devices"))
from headless import opened

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By name: the run, its tarball, and where that is unpacked."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for name in (*MODELS, *MORE):
        run = make_run(folder, name)
        package(run, read_summary(run), ["web"], version="1.2.0", out=run / "out")
        (tarball,) = (run / "out/web").glob("*.tgz")
        with tarfile.open(tarball) as archive:
            archive.extractall(run / "unpacked", filter="data")
        found[name] = (run, tarball, run / "unpacked/package")
    return found


def node(folder: Path, code: str) -> str:
    script = folder / "script.mjs"
    script.write_text(code)
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


GOLDEN_INPUTS = """
import { readFileSync } from "node:fs";
import { bytesOf, ofGolden } from "./prepared.js";
import { sha256 } from "./sha256.js";
const read = (name) => JSON.parse(readFileSync(new URL(`./data/${name}`, import.meta.url)));
const { inputs } = read("spec.json");
const found = read("golden.json").samples.map((sample) =>
  Object.entries(ofGolden(sample, inputs)).map(([k, v]) => [k, sha256(bytesOf(v))]));
console.log(JSON.stringify(found.map(Object.fromEntries)));
"""


@pytest.mark.parametrize("name", (*MODELS, *MORE))
def test_javascript_makes_the_golden_inputs_to_the_bit(made, name):
    folder = made[name][2]
    golden = json.loads((folder / "data/golden.json").read_text())
    found = json.loads(node(folder, GOLDEN_INPUTS))
    assert found == [sample["inputs"] for sample in golden["samples"]]
    assert len(found) == (6 if name == "speech" else 4)


@pytest.mark.parametrize("name", ["speech", "photos"])
def test_the_inputs_of_a_float32_model_are_the_same_to_the_bit(name, tmp_path):
    run = make_run(tmp_path, name, precision="float32")
    package(run, read_summary(run), ["web", "linux"], out=run / "out")
    (tarball,), (wheel,) = (run / "out/web").glob("*.tgz"), (run / "out/linux").glob("*.whl")
    with tarfile.open(tarball) as archive:
        archive.extractall(run, filter="data")
    golden = json.loads((run / "package/data/golden.json").read_text())
    found = json.loads(node(run / "package", GOLDEN_INPUTS))
    assert found == [sample["inputs"] for sample in golden["samples"]]
    check = [sys.executable, "-m", f"{name}_classifier", "--check"]
    ZipFile(wheel).extractall(run / "site")
    site = {**os.environ, "PYTHONPATH": str(run / "site")}
    done = subprocess.run(check, env=site, capture_output=True, text=True, check=False)
    assert f"{len(found)} golden samples as exported" in done.stdout, done.stderr


def test_what_an_app_gives_becomes_the_same_bits_in_both_languages(made, tmp_path):
    """Pictures of other sizes, recordings of other lengths: as float32, before any rounding."""
    rng = np.random.default_rng(5)
    told = {
        "shape": [3, 17, 23],
        "peak": 16.0,
        "sound": _sound(SOUND),
    }
    cases: list[dict[str, Any]] = []
    for height, width, has in ((40, 31, 3), (9, 50, 4), (17, 23, 1)):
        pixels = rng.integers(0, 256, (height, width, has)).astype(np.uint8)
        for channels in (1, 3):
            one = {**told, "shape": [channels, 17, 23]}
            wanted = arithmetic.picture(pixels, one)
            cases.append({"told": one, "size": [height, width], "wanted": wanted.tobytes().hex()})
            cases[-1]["pixels"] = pixels.ravel().tolist()
    for samples in (arithmetic.made_up(told, 1), rng.normal(0, 0.2, 3001).astype(np.float32)):
        wanted = arithmetic.log_mel(samples, told)
        cases.append({"told": told, "wanted": wanted.tobytes().hex(), "samples": samples.tolist()})
    (made["photos"][2] / "cases.json").write_text(json.dumps(cases))
    code = """
    import { readFileSync } from "node:fs";
    import { logMel, picture } from "./arithmetic.js";
    const cases = JSON.parse(readFileSync(new URL("./cases.json", import.meta.url)));
    for (const { told, size, pixels, samples, wanted } of cases) {
      const got = pixels
        ? picture({ data: Uint8Array.from(pixels), height: size[0], width: size[1] }, told)
        : logMel(Float32Array.from(samples), told);
      console.log(Buffer.from(got.buffer).toString("hex") === wanted);
    }
    """
    assert node(made["photos"][2], code).split() == ["true"] * len(cases)


@pytest.mark.parametrize("damage", ["cut", "mixed", "gone", "manifest"])
def test_javascript_refuses_a_damaged_or_mixed_up_bundle(made, damage, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(made["digits"][2], folder)
    model, manifest = folder / "data/model.onnx", folder / "data/manifest.json"
    if damage == "cut":
        model.write_bytes(model.read_bytes()[:-9])
    elif damage == "mixed":
        model.write_bytes((made["photos"][2] / "data/model.onnx").read_bytes())
    elif damage == "gone":
        model.unlink()
    else:
        manifest.write_text(manifest.read_text()[:99])
    code = """
    import { readFileSync } from "node:fs";
    import { readBundle } from "./bundle.js";
    const load = async (name) => readFileSync(new URL(`./data/${name}`, import.meta.url));
    readBundle(load).then(() => console.log("loaded"), (e) => console.log(e.name, e.message));
    """
    said = node(folder, code)
    assert said.startswith("BundleError This bundle cannot be used")
    assert ("manifest.json" if damage == "manifest" else "model.onnx") in said


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("photos", "{data: [1, 2], width: 1, height: 2}", "8-bit"),
        ("photos", "{data: new Uint8Array(7), width: 2, height: 2}", "1, 3 or 4"),
        ("speech", "[0.5]", "Float32Array"),
        ("speech", "Float32Array.of(NaN)", "not finite"),
        ("wear", "[1, 2, 3]", "64 numbers"),
        ("shop", "{age: 1, income: 2}", "no column town"),
        ("shop", "{age: 'old', income: 2, town: 'x'}", "age is a number"),
    ],
)
def test_javascript_refuses_what_is_no_sample(made, name, given, problem):
    code = f"""
    import {{ readFileSync }} from "node:fs";
    import {{ rawOf }} from "./inputs.js";
    const told = JSON.parse(readFileSync(new URL("./data/spec.json", import.meta.url)));
    try {{ rawOf({given}, told.inputs); }} catch (e) {{ console.log(e.name, e.message); }}
    """
    said = node(made[name][2], code)
    assert said.startswith("TypeError") and problem in said


PAGE = """<!doctype html><meta charset="utf-8">
<script type="importmap">{"imports": {
  "onnxruntime-web/wasm": "/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
  "digits-classifier": "/node_modules/digits-classifier/index.js",
  "photos-classifier": "/node_modules/photos-classifier/index.js",
  "shop-classifier": "/node_modules/shop-classifier/index.js",
  "speech-classifier": "/node_modules/speech-classifier/index.js",
  "wear-regressor": "/node_modules/wear-regressor/index.js"}}</script>
<script type="module" src="/app.js"></script><body></body>"""
APP = """
IMPORT;
import { BundleError } from "digits-classifier";
import { PhotosClassifier } from "photos-classifier";
import { ShopClassifier } from "shop-classifier";
import { SpeechClassifier } from "speech-classifier";
import { WearRegressor } from "wear-regressor";

const said: Record<string, unknown> = {};
try {
  const model = await DigitsClassifier.create();
  const pixels = new ImageData(20, 20);
  const imageData = pixels;
  CLASSIFY;
  said.digits = [best.label, best.score, await model.selfCheck()];
  await model.close();
  const photos = await PhotosClassifier.create();
  said.photos = [await photos.selfCheck(), await photos.classify(pixels)];
  const shop = await ShopClassifier.create();
  const row = { age: 30, income: null, town: " Köln " };
  said.shop = [await shop.selfCheck(), await shop.predict(row)];
  const speech = await SpeechClassifier.create();
  const samples = new Float32Array(4000).fill(0.25);
  said.speech = [await speech.selfCheck(), await speech.classify(samples)];
  const wear = await WearRegressor.create();
  const hours: number = await wear.predict(new Float32Array(64));
  said.wear = [await wear.selfCheck(), hours];
  const load = async (name: string) => new Uint8Array(name === "manifest.json" ? 9 : 0);
  const told = (error: unknown) => { said.damaged = error instanceof BundleError; };
  await DigitsClassifier.create({ load }).catch(told);
} catch (error) { said.error = String(error); }
await fetch("/said", { method: "POST", body: JSON.stringify(said) });
"""
TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "target": "es2022",
        "module": "es2022",
        "moduleResolution": "bundler",
        "lib": ["es2022", "dom"],
        "types": [],
    },
    "files": ["app.ts"],
}


class Server(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, said: queue.SimpleQueue[bytes], *given: Any, directory: str) -> None:
        self.said = said
        super().__init__(*given, directory=directory)

    def do_POST(self) -> None:
        """What the page has to say at its end."""
        self.said.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def said_in_chromium(folder: Path) -> dict[str, Any]:
    """What the page says when it is done, however long this machine takes."""
    said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    handler = functools.partial(Server, said, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with opened(f"http://127.0.0.1:{server.server_port}/index.html", folder / "profile"):
                return json.loads(said.get(timeout=300))
        except queue.Empty:
            pytest.fail(f"the page said nothing: {(folder / 'profile.log').read_text()[-2000:]}")
        finally:
            server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_it_installs_has_right_types_and_classifies_in_a_browser(made, tmp_path):
    tarballs = [str(made[name][1]) for name in MODELS]
    (install,), (imports, classify) = readme_lines("web")
    assert install == f"npm install ./{made['digits'][1].name}"
    app = APP.replace("IMPORT", imports).replace("CLASSIFY", classify)
    (tmp_path / "package.json").write_text(json.dumps({"name": "app", "private": True}))
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run([*npm, *tarballs, "typescript@5"], cwd=tmp_path, check=True)
    (tmp_path / "app.ts").write_text(app)
    (tmp_path / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    tsc = ["node_modules/.bin/tsc", "--project", "."]
    done = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    wrong = app.replace("income: null", "income: 'much'")
    (tmp_path / "app.ts").write_text(wrong)
    done = subprocess.run(
        [*tsc, "--noEmit"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "income" in done.stdout or "string" in done.stdout
    (tmp_path / "index.html").write_text(PAGE)
    said = said_in_chromium(tmp_path)
    assert "error" not in said, said
    checked = [said[name][0] for name in ("photos", "shop", "speech", "wear")]
    assert checked == [4, 4, 6, 4] and said["digits"][2] == 4 and said["damaged"]

    def logits(name: str, x: Any) -> Any:
        return load(made[name][0] / f"export-{KEY}/student-int8.onnx").run(x)

    x = MODELS["speech"].input.normalise(
        sound.features(np.full(4000, 0.25, np.float32), SOUND.rate, SOUND)[None]
    )
    wanted = softmax(logits("speech", x))[0]
    got = {c["label"]: c["score"] for c in said["speech"][1]}
    np.testing.assert_allclose([got[label] for label in ("yes", "no", "none")], wanted, rtol=1e-6)
    spec = MODELS["wear"]
    hours = spec.raw_targets(logits("wear", spec.input.normalise(raw_samples("wear")[:1] * 0)))
    assert said["wear"][1] == pytest.approx(float(hours[0, 0]))
