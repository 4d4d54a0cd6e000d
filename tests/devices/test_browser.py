"""Files measured in a real Chromium: what it answers, what it tells, and that it may go away."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from headless import SWIFTSHADER, Command, close, opened, program
from tiny_models import Tiny

from edgekd.bench.compare import within
from edgekd.bench.result import BenchResult
from edgekd.bench.table import format_bench
from edgekd.config.device import DeviceSettings
from edgekd.devices import browser_link, browser_server
from edgekd.devices.browser import BrowserDevice
from edgekd.devices.browser_link import CannotRun
from edgekd.devices.local import LocalDevice
from edgekd.environments import web
from edgekd.environments.make import EnvironmentMissing
from edgekd.errors import StageError
from edgekd.schema import schema_text

SHORT = {"warmup_seconds": 0.01, "min_runs": 5, "min_seconds": 0.01}
LONG = {"warmup_seconds": 0.0, "min_runs": 5, "min_seconds": 600.0}


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """Real digits, and a linear classifier of them in both formats, in float32 and int8."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    program("npm", "npm")
    x, y = load_digits(return_X_y=True)
    x = (x.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    fitted = LogisticRegression(max_iter=300).fit(x[:1200].reshape(1200, -1), y[:1200])
    tiny = Tiny((1, 8, 8), 10)
    tiny.weight, tiny.bias = (v.astype(np.float32) for v in (fitted.coef_, fitted.intercept_))
    folder = tmp_path_factory.mktemp("digits")
    for form in ("onnx", "tflite"):
        for precision in ("float32", "int8"):
            tiny.write(folder, form, precision)
    np.savez(folder / "test.npz", x=x[1200:], y=y[1200:])
    np.save(folder / "x.npy", x[1200:])
    return folder


@pytest.fixture
def device(tmp_path) -> Iterator[BrowserDevice]:
    """Serves its page; nobody has opened it yet."""
    made = BrowserDevice(DeviceSettings(name="phone", kind="browser", wait=120))
    made.serve()
    yield made
    made.close()


@pytest.mark.slow
def test_a_command_measures_all_files_as_on_this_machine(digits, tmp_path):
    words = ["int8.onnx", "int8.tflite", "--device", "browser", "--device", "local"]
    lengths = ["--processes", "2", "--min-secs", "0.2", "--num-runs", "20", "--threads", "1"]
    with Command(digits, "bench", *words, *lengths, "--data", "test.npz", "--json", "-") as command:
        with opened(command.page(), tmp_path / "profile"):
            code, out = command.end()
        assert code == 0, command.err
    jsonschema.validate(json.loads(out), json.loads(schema_text("bench")))
    result = BenchResult.model_validate_json(out)
    told = result.machines["browser"].browser
    assert told is not None and told.cross_origin_isolated and "Chrome" in told.user_agent
    assert 0 < told.timer_us <= 100 and result.machines["local"].browser is None
    here, there = (
        {row.model: row for row in result.rows if row.device == name}
        for name in ("local", "browser")
    )
    assert here.keys() == there.keys()
    for name, row in there.items():
        assert row.latency_us is not None and row.latency_us.p50 > 0 and len(row.runs) == 2
        assert row.runs[0].batch >= 1 and row.peak_rss_bytes > 1_000_000
        assert row.accuracy is not None and row.accuracy.n == 597
        assert row.accuracy.value == here[name].accuracy.value > 0.85
        assert row.same_answers is not None and row.same_answers >= 595
    names = {row.model: (row.runtime, row.runtime_version) for row in there.values()}
    assert names == {
        "int8.onnx": ("onnxruntime-web", "1.30.0"),
        "int8.tflite": ("litert.js", "2.5.3"),
    }
    assert {pair.first.device for pair in within(result, 0.95)} == {"local", "browser"}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_answers_are_those_of_this_machine(digits, device, tmp_path, form):
    got: dict[str, np.ndarray] = {}
    with opened(device.address, tmp_path / "profile"), device:
        for precision in ("float32", "int8"):
            for where in (LocalDevice(DeviceSettings(name="here")), device):
                where.connect()
                job = {
                    "model": where.push(digits / f"{precision}.{form}"),
                    "inputs": where.push(digits / "x.npy"),
                    "threads": 2,
                }
                found = where.run({**job, "outputs": "y.npy", **SHORT}, timeout=120)
                assert found["ok"] and found["threads"] == 2
                where.pull("y.npy", tmp_path / "y.npy")
                got[where.name] = np.load(tmp_path / "y.npy")
            step = 0.1001 if precision == "int8" else 1e-4
            assert got["phone"].shape == got["here"].shape == (597, 10)
            np.testing.assert_allclose(got["phone"], got["here"], atol=step, rtol=0)
        with pytest.raises(StageError, match="left a file out"):
            device.pull("y.npy", tmp_path / "y.npy")


@pytest.mark.slow
def test_a_browser_that_goes_away_is_told_within_a_bound(digits, device, tmp_path, monkeypatch):
    monkeypatch.setattr(browser_link, "SILENCE", 6.0)
    job = {"model": device.push(digits / "int8.onnx"), **LONG}
    with opened(device.address, tmp_path / "profile") as browser:
        device.connect()
        threading.Timer(8, close, [browser]).start()
        with pytest.raises(StageError, match="went away in the middle") as caught:
            device.run(job, timeout=600)
    assert "int8.onnx, 1 thread" in caught.value.where and "6 s" in caught.value.where
    assert "keep the page open" in caught.value.fix


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["next", "jobs/1/result"])
def test_a_page_whose_message_was_lost_does_not_seem_to_be_there(
    digits, device, tmp_path, monkeypatch, lost
):
    """It gives up, and so edgekd does not wait for it until the job's time is over."""
    monkeypatch.setattr(browser_link, "SILENCE", 5.0)
    post = browser_server.Handler._post

    def unreliable(self: browser_server.Handler, name: str) -> None:
        if name == lost:
            self.close_connection = True
        else:
            post(self, name)

    monkeypatch.setattr(browser_server.Handler, "_post", unreliable)
    job = {"model": device.push(digits / "int8.onnx"), **SHORT}
    with opened(device.address, tmp_path / "profile"):
        device.connect()
        with pytest.raises(StageError, match="went away in the middle") as caught:
            device.run(job, timeout=60)
    assert "5 s" in caught.value.where


@pytest.mark.slow
def test_a_file_that_its_runtime_refuses_is_explained(digits, device, tmp_path):
    """A page has no numbers of this type."""
    from onnx import TensorProto, helper, save

    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT16, [1, 4]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(tmp_path / "odd.onnx"))
    with opened(device.address, tmp_path / "profile"), device:
        with pytest.raises(CannotRun, match="could not run this file") as caught:
            device.run({"model": device.push(tmp_path / "odd.onnx"), **SHORT}, timeout=120)
        assert "odd.onnx, 1 thread" in caught.value.where and "float16" in caught.value.where
        found = device.run({"model": device.push(digits / "int8.onnx"), **SHORT}, timeout=120)
        assert found["ok"]  # it is there for the next file


@pytest.mark.slow
def test_other_machines_are_served_by_https(digits, tmp_path):
    """With a certificate of its own, so that they have threads, and a code that phones scan."""
    words = ["int8.onnx", "--device", "browser", "--host", "0.0.0.0", "--threads", "2", "--quick"]
    with Command(digits, "bench", *words, "--json", "-") as command:
        address = command.page()
        assert address.startswith("https://") and "127.0.0.1" not in address
        with opened(address, tmp_path / "profile"):
            code, out = command.end()
        assert code == 0, command.err
    (row,) = json.loads(out)["rows"]
    assert row["threads"] == 2 and row["latency_us"]["p50"] > 0
    assert "SHA-256" in command.err and command.err.count("█") > 50


@pytest.mark.slow
def test_a_graphics_processor_is_a_row_of_its_own(digits, tmp_path):
    """WebGPU, emulated by Chromium's SwiftShader."""
    words = ["float32.onnx", "--device", "browser", "--threads", "1", "--data", "test.npz"]
    lengths = ["--num-runs", "3", "--min-secs", "0.05", "--processes", "1"]
    with Command(digits, "bench", *words, *lengths, "--json", "-") as command:
        with opened(command.page(), tmp_path / "profile", *SWIFTSHADER):
            code, out = command.end()
        assert code == 0, command.err
    result = BenchResult.model_validate_json(out)
    told = result.machines["browser"].browser
    assert told is not None and told.webgpu.endswith("swiftshader, emulated")
    one, graphics = result.rows
    assert (one.threads, graphics.threads) == (1, 0)
    assert one.accuracy == graphics.accuracy is not None and one.accuracy.n == 597
    assert "WebGPU is emulated there, by the processor" in graphics.warnings
    assert format_bench(result.rows)[2][2] == "WebGPU"


@pytest.mark.slow
def test_a_browser_is_checked(digits, tmp_path):
    with Command(digits, "devices", "check", "browser") as command:
        with opened(command.page(), tmp_path / "profile"):
            code, out = command.end()
        assert code == 0, command.err
    told = {line[2:17].strip(): line[17:].strip() for line in out.splitlines()[1:]}
    assert told["isolated"] == "yes" and told["clock"].startswith("steps of ")
    assert told["onnxruntime-web"] == "1.30.0" and "Chrome" in told["browser"]


def test_nobody_comes(monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("EDGEKD_ENVIRONMENTS", str(tmp_path))
    made = tmp_path / f"web-{web.web_key()}"
    for package in web.PACKAGES:
        (made / package.folder).mkdir(parents=True)
    (made / "complete.json").touch()
    device = BrowserDevice(DeviceSettings(name="phone", kind="browser", wait=0.2))
    with pytest.raises(StageError, match=r"No browser opened the page within 0 s") as caught:
        device.connect()
    assert "--host 0.0.0.0" in caught.value.fix
    assert device.address in capfd.readouterr().err
    assert device.address.rsplit("/", 2)[1] not in str(caught.value)


def test_npm_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEKD_ENVIRONMENTS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentMissing, match="npm, which is not installed") as caught:
        web.web_runtimes()
    assert "apt install npm" in caught.value.fix and web.made_web() is None


@pytest.mark.slow
def test_an_archive_that_is_not_the_pinned_one_is_refused(monkeypatch, tmp_path):
    program("npm", "npm")
    monkeypatch.setenv("EDGEKD_ENVIRONMENTS", str(tmp_path))
    small = web.PACKAGES[-1]
    other = web.Package(small.name, small.version, "A" * 86 + "==", small.folder, small.files)
    monkeypatch.setattr(web, "PACKAGES", (other,))
    with pytest.raises(EnvironmentMissing, match="not the one that is pinned"):
        web.web_runtimes()
    assert web.made_web() is None
    monkeypatch.setattr(web, "PACKAGES", (small,))
    folder = web.web_runtimes()
    assert (folder / "wasm-utils/index.js").is_file() and web.made_web() == folder
    shutil.rmtree(folder / "wasm-utils")
    (folder / "complete.json").unlink()  # as if killed before the end
    assert (web.web_runtimes() / "wasm-utils/index.js").is_file()
