"""A browser as a device: it opens a page, which runs the files and sends back what it found.

Every job is a fresh worker of the page, with a fresh instance of the runtime: what a process is
elsewhere.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.agent import agent
from edgekd.config.device import DeviceSettings
from edgekd.devices.base import Device, closed_on_failure
from edgekd.devices.browser_address import bound_to, is_loopback, page_address, show
from edgekd.devices.browser_facts import machine_of
from edgekd.devices.browser_job import make_work, model_title, prepare, read_work
from edgekd.devices.browser_link import Link
from edgekd.devices.browser_server import Server
from edgekd.devices.remote import stored_name
from edgekd.environments.web import PACKAGES, web_runtimes, web_versions
from edgekd.errors import StageError

PAGE = Path(__file__).with_name("page")
FAREWELL = 3.0
"""Seconds in which the page hears that all is done."""


class BrowserDevice(Device):
    """Serves a page, and hands jobs to the first browser that opens it."""

    def __init__(self, settings: DeviceSettings) -> None:
        self.settings = settings
        self.address = ""
        """Of the page, with its token."""
        self._link = Link(secrets.token_urlsafe(18))
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[str, agent.ModelFile] = {}
        self._jobs = 0

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.settings.name

    @property
    def notes(self) -> Sequence[str]:
        """See `Device.notes`."""
        told = self.state()
        found = []
        if not told["browser"]["cross_origin_isolated"]:
            found.append(
                "the page is not isolated from others, so it has one thread and a coarser clock: "
                "let it be served by https"
            )
        return found

    @property
    def together(self) -> bool:
        """See `Device.together`."""
        return False

    def connect(self) -> None:
        """Serves the page, shows its address, and waits for a browser.

        Raises:
            StageError: the runtimes cannot be had, the address cannot be bound, or nobody came.
        """
        folder = self.serve()
        with closed_on_failure(self):
            show(self.address, self.settings, folder)
            self._await()

    def serve(self) -> Path:
        """Starts the server, if it does not run; gives the folder of its certificate.

        Raises:
            StageError: see `connect`.
        """
        if self._folder is not None:
            return Path(self._folder.name)
        runtimes = web_runtimes()
        assets = {file.name: file for file in PAGE.iterdir() if file.is_file()}
        for folder in web_versions():
            assets |= {f"{folder}/{file.name}": file for file in (runtimes / folder).iterdir()}
        self._folder = tempfile.TemporaryDirectory(prefix="edgekd-")
        with closed_on_failure(self):
            self._server = bound_to(self.settings, self._link, assets, Path(self._folder.name))
        self.address = page_address(self.settings, self._server, self._link.token)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )
        self._thread.start()
        return Path(self._folder.name)

    def _await(self) -> None:
        if self._link.wait_for_browser(self.settings.wait):
            return
        raise StageError(
            f"No browser opened the page within {self.settings.wait:.0f} s.",
            where=f"{self.name}: {self.address.rsplit('/', 2)[0]}/",
            fix="open the address that was printed; for a phone edgekd must listen in its network: "
            "--host 0.0.0.0, or host in the device file"
            if is_loopback(self.settings)
            else "open the address that was printed, in the same network; a firewall on this "
            "machine may be in the way",
        )

    def push(self, file: Path) -> str:
        """Nothing is sent before a job asks for it; this machine reads the file, too."""
        return str(file.absolute())

    def run(self, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        """See `Device.run`."""
        if self._server is None or self._folder is None:
            raise StageError("The device is not connected.", where=self.name)
        if not job.get("model"):
            return {"ok": True, "machine": self.state()}
        path, self._jobs = Path(job["model"]), self._jobs + 1
        title = model_title(path, int(job.get("threads", 1)))
        prepared = prepare(self._loaded(path), job)
        stored = stored_name(path)
        self._link.files[stored] = path
        work = make_work(self._jobs, prepared, job, f"files/{stored}", title)
        self._link.do(work, timeout, f"{title}, on {self.name}")
        result, outputs = read_work(work, prepared, web_versions())
        if outputs is not None:
            np.save(Path(self._folder.name) / job["outputs"], outputs, allow_pickle=False)
        if job.get("stream"):
            result["warnings"].append("frames at a fixed rate are not measured in a browser")
        if job.get("offline"):
            result["warnings"].append("samples all at once are not measured in a browser")
        machine = self.state()
        result["warnings"].extend(self.notes)
        if machine["webgpu_emulated"] and not work.order["threads"]:
            result["warnings"].append("WebGPU is emulated there, by the processor")
        return {**result, "machine": machine}

    def _loaded(self, path: Path) -> agent.ModelFile:
        key = str(path)
        if key not in self._files:
            try:
                self._files[key] = agent.load(key)
            except agent.AgentError as error:
                raise StageError(error.what, where=error.where, fix=error.fix) from error
        return self._files[key]

    def pull(self, name: str, to: Path) -> None:
        """See `Device.pull`."""
        if self._folder is None:
            raise StageError("The device is not connected.", where=self.name)
        try:
            shutil.move(Path(self._folder.name) / name, to)
        except OSError as error:
            raise StageError(
                "A job left a file out that it was to write.", where=f"{name} on {self.name}"
            ) from error

    def state(self) -> dict[str, Any]:
        """See `Device.state`; besides `webgpu`, whether there is one, and `browser`."""
        return machine_of(self._link.facts or {}, {p.name: p.version for p in PACKAGES})

    def close(self) -> None:
        """Tells the page that it may be closed, and ends the server."""
        if self._thread is not None and self._server is not None:
            self._link.finish(FAREWELL)
            self._server.shutdown()
            self._thread.join()
        if self._server is not None:
            self._server.server_close()
        if self._folder is not None:
            self._folder.cleanup()
        self._server = self._thread = self._folder = None
