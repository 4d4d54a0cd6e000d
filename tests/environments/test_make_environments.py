"""Environments are made once, wholly, and say it when they cannot be made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgekd.environments import EnvironmentMissing, environment, make, run
from edgekd.environments.make import ENVIRONMENTS, Wanted
from edgekd.errors import StageError

HERE = sys.version_info[:2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One environment, asked for by two threads at once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("environments")
        _only(patch, folder, "# nothing\n")
        makings, real = [], make._make
        patch.setattr(make, "_make", lambda *a: (makings.append(a), real(*a)))
        found: list = []
        threads = [
            threading.Thread(target=lambda: found.append(environment("small"))) for _ in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield found, makings, folder


def _only(patch, folder, requirements: str, pythons=(HERE,)) -> Wanted:
    patch.setenv("EDGEKD_ENVIRONMENTS", str(folder / "made"))
    (folder / "small.txt").write_text(requirements)
    patch.setattr(make, "HERE", folder)
    wanted = Wanted("small", pythons, "little")
    patch.setitem(ENVIRONMENTS, "small", wanted)
    return wanted


def test_two_that_ask_at_once_make_it_once(made):
    found, makings, folder = made
    assert len(makings) == 1 and found[0] == found[1]
    python = found[0]
    assert python.parents[2] == folder / "made"
    told = json.loads((python.parents[1] / "complete.json").read_text())
    assert told == {"name": "small", "python": ".".join(map(str, sys.version_info[:3]))}
    asked = subprocess.run(
        [python, "-I", "-c", "import sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.strip() == str(python.parents[1])


def test_it_is_found_again_and_a_remainder_is_made_again(made):
    found, makings, _ = made
    folder = found[0].parents[1]
    assert environment("small") == found[0] and len(makings) == 1
    (folder / "complete.json").unlink()  # as if killed before the end
    (folder / "remainder").touch()
    assert environment("small") == found[0] and len(makings) == 2
    assert not (folder / "remainder").exists() and (folder / "complete.json").is_file()


def test_other_pins_are_another_environment(made, monkeypatch):
    _, _, folder = made
    before = make.environment_key("small")
    monkeypatch.setattr(make, "HERE", folder / "other")
    (folder / "other").mkdir()
    (folder / "other" / "small.txt").write_text("# other pins\n")
    assert make.environment_key("small") != before


def test_a_script_gets_its_arguments_as_they_are(made, monkeypatch, tmp_path):
    found, _, _ = made
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "echo.py"
    script.write_text("import os, sys\nprint(sys.argv[1:], os.getcwd(), 'SECRET' in os.environ)\n")
    monkeypatch.setattr("edgekd.environments.script.HERE", tmp_path)
    monkeypatch.setenv("SECRET", "x")
    odd = "a b; $(echo c) 'd'"
    said = run(found[0], "echo.py", [odd], tmp_path)
    assert said.strip() == f"{[odd]!r} {tmp_path} False"
    script.write_text("raise SystemExit('it does not work')\n")
    with pytest.raises(StageError) as caught:
        run(found[0], "echo.py", [], tmp_path)
    assert "it does not work" in caught.value.where


def test_without_an_index_it_says_what_pip_says(monkeypatch, tmp_path):
    _only(monkeypatch, tmp_path, "edgekd-needs-no-such-package==1.0\n")
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(EnvironmentMissing) as caught:
        environment("small")
    assert "edgekd-needs-no-such-package" in caught.value.where
    assert "network" in caught.value.fix
    (folder,) = [p for p in (tmp_path / "made").iterdir() if p.is_dir()]
    assert not (folder / "complete.json").exists()


def test_without_a_fitting_python_it_names_one_and_uv_is_asked(monkeypatch, tmp_path):
    wanted = _only(monkeypatch, tmp_path, "", pythons=((3, 2),))
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    with pytest.raises(EnvironmentMissing) as caught:
        environment("small")
    assert "3.2" in caught.value.what and "uv" in caught.value.fix
    uv = empty / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    command = make._venv_command(wanted, tmp_path / "new")
    assert command[0] == str(uv) == shutil.which("uv")
    assert command[1:] == ["venv", "--quiet", "--seed", "--python", "3.2", str(tmp_path / "new")]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_requirement_is_pinned(name):
    lines = Path(make.__file__).with_name(f"{name}.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins and all(line.count("==") == 1 for line in pins)
    assert len({line.split("==")[0] for line in pins}) == len(pins)
