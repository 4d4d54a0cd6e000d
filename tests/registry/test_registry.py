"""Models in and out of a registry, in a folder and in fsspec's memory store."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from edgekd.cli import app
from edgekd.config.load import load_pipeline
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError, EdgekdError, StageError
from edgekd.package.verify import verify
from edgekd.package.write import package
from edgekd.pipeline import read_summary
from edgekd.registry.folder import FolderRegistry
from edgekd.registry.names import following, in_order
from edgekd.registry.promote import promote
from edgekd.registry.pull import pull
from edgekd.registry.stores import registry_at
from edgekd.registry.url import UrlRegistry
from edgekd.runtimes.golden import check_golden
from edgekd.store import write_json

sys.path.append(str(Path(__file__).resolve().parents[1] / "package"))
from made_runs import KEY, make_run

NAME = "digits-classifier"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with a real pipeline's settings in its summary."""
    run = make_run(tmp_path_factory.mktemp("runs"), "digits")
    summary = read_summary(run)
    settings = Pipeline(name="digits").model_dump(mode="json")
    told = summary.model_copy(update={"settings": settings})
    write_json(run / "summary.json", told.model_dump(mode="json"))
    return run


@pytest.fixture(params=["folder", "file", "memory"])
def place(request, tmp_path):
    """Where a registry lies: a folder, a file URL, an object store in memory."""
    if request.param == "folder":
        return str(tmp_path / "models")
    if request.param == "file":
        return (tmp_path / "my models").as_uri()
    return f"memory://{uuid.uuid4().hex}/models"


def add(run: Path, place: str, version: str | None = None, **more):
    return promote(run, read_summary(run), registry_at(place), version=version, **more)


def files_of(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_what_was_promoted_comes_back_and_is_a_run_folder(run, place, tmp_path):
    made = add(run, place, "1.2.0")
    assert (made.name, made.version) == (NAME, "1.2.0")
    pulled = pull(f"{NAME}@1.2.0", registry_at(place), out=tmp_path / "pulled").folder
    there = files_of(pulled)
    exported = {path: content for path, content in files_of(run).items() if KEY in path}
    assert exported.items() <= there.items()
    more = {"summary.json", "pipeline.yaml", "MODEL_CARD.md", "manifest.json"}
    assert set(there) == set(exported) | more
    assert read_summary(pulled) == read_summary(run)
    assert f"# {NAME} 1.2.0" in there["MODEL_CARD.md"].decode()
    told = json.loads(there["manifest.json"])
    assert told["version"] == "1.2.0" and told["pipeline"]["key"] == KEY
    for path, entry in told["files"].items():
        assert entry["sha256"] == hashlib.sha256(there[path]).hexdigest()
    assert load_pipeline(pulled / "pipeline.yaml")[0] == Pipeline(name="digits")
    assert verify(pulled).manifest.name == NAME


def test_bundles_and_golden_samples_work_on_what_was_pulled(run, tmp_path):
    add(run, str(tmp_path / "models"), "1.2.0")
    pulled = pull(f"{NAME}@latest", registry_at(str(tmp_path / "models")), out=tmp_path / "p")
    export = pulled.folder / f"export-{KEY}"
    check_golden(export / "student-int8.onnx")
    of_run, of_pulled = tmp_path / "a", tmp_path / "b"
    for folder, out in ((run, of_run), (pulled.folder, of_pulled)):
        package(folder, read_summary(folder), ["linux"], version="1.2.0", out=out)
    assert files_of(of_run) == files_of(of_pulled)


def test_versions_are_ordered_by_number_and_the_next_one_is_found(run, place, tmp_path):
    for version in ("1.9.0", "1.10.0", "0.20.1"):
        add(run, place, version)
    assert in_order(registry_at(place).versions(NAME)) == ["0.20.1", "1.9.0", "1.10.0"]
    assert add(run, place).version == "1.10.1"
    pulled = pull(f"{NAME}@latest", registry_at(place), out=tmp_path / "p")
    assert pulled.verified.manifest.version == "1.10.1"
    assert following([]) == "0.1.0"
    assert add(run, place, name="four.digits").version == "0.1.0"


def test_no_version_is_overwritten(run, place, tmp_path):
    add(run, place, "1.0.0")
    first = files_of(pull(f"{NAME}@1.0.0", registry_at(place), out=tmp_path / "a").folder)
    other = make_run(tmp_path, "photos")
    with pytest.raises(ConfigError, match="already") as caught:
        add(other, place, "1.0.0", name=NAME)
    assert "--version" in caught.value.fix
    assert files_of(pull(f"{NAME}@1.0.0", registry_at(place), out=tmp_path / "b").folder) == first


def test_names_and_versions_that_are_none_are_refused(run, place, tmp_path):
    for name in ("../digits", "Digits", "", ".hidden", "a/b", "a@b"):
        with pytest.raises(ConfigError, match="no name"):
            add(run, place, name=name)
    for reference in ("digits", "../x@1.0.0", "digits@1.0", "digits@../1.0.0", "@1.0.0"):
        with pytest.raises(ConfigError):
            pull(reference, registry_at(place), out=tmp_path / "out")
    with pytest.raises(ConfigError, match="version"):
        add(run, place, "1.2")
    with pytest.raises(ConfigError, match="has no") as caught:
        pull(f"{NAME}@latest", registry_at(place), out=tmp_path / "out")
    assert "promote" in caught.value.fix
    add(run, place, "1.0.0")
    with pytest.raises(ConfigError, match="has no") as caught:
        pull(f"{NAME}@1.0.1", registry_at(place), out=tmp_path / "out")
    assert "1.0.0" in caught.value.fix
    assert not (tmp_path / "out").exists()


def test_places_that_cannot_be_reached_say_why(tmp_path):
    with pytest.raises(ConfigError, match="cannot reach") as caught:
        registry_at("nowhere://models")
    assert "s3fs" in caught.value.fix
    with pytest.raises(ConfigError, match="one URL"):
        registry_at("simplecache::memory://models")
    with pytest.raises(ConfigError) as caught:
        registry_at("file://models")
    assert "file:///models" in caught.value.fix
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgekdError, match="cannot be written"):
        FolderRegistry(tmp_path / "file").put("a", "1.0.0", {"x": b""})


def test_a_run_without_a_model_is_not_promoted(run, place):
    summary = read_summary(run).model_copy(update={"stages": []})
    with pytest.raises(StageError, match="no exported model"):
        promote(run, summary, registry_at(place))
    assert registry_at(place).versions(NAME) == []


def test_files_that_make_their_own_preprocessing_are_released_though_no_bundle_takes_them(tmp_path):
    run = make_run(tmp_path, "digits")
    beside = run / f"export-{KEY}" / "student-int8.onnx.json"
    told = json.loads(beside.read_text())
    told["edgekd"]["preprocess"] = "baked"
    beside.write_text(json.dumps(told))
    with pytest.raises(StageError, match="baked in"):
        package(run, read_summary(run), ["linux"], out=tmp_path / "out")
    assert add(run, str(tmp_path / "models")).version == "0.1.0"


def test_a_summary_that_names_files_elsewhere_is_refused(tmp_path):
    run = make_run(tmp_path, "digits")
    summary = read_summary(run)
    os.replace(run / f"export-{KEY}", tmp_path / f"export-{KEY}")
    models = [m.model_copy(update={"path": f"../{m.path}"}) for m in summary.models]
    registry = registry_at(str(tmp_path / "models"))
    with pytest.raises(EdgekdError, match="not in the run folder"):
        promote(run, summary.model_copy(update={"models": models}), registry)


class Damaged:
    """A registry whose files somebody has changed since."""

    place = "damaged"

    def __init__(self, folder: Path, **changed: bytes | None) -> None:
        self.inner = FolderRegistry(folder)
        self.changed = changed

    def versions(self, name: str) -> list[str]:
        return self.inner.versions(name)

    def put(self, name, version, files) -> None:
        raise NotImplementedError

    def read(self, name: str, version: str, path: str) -> bytes | None:
        if path in self.changed:
            return self.changed[path]
        return self.inner.read(name, version, path)


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "missing"), (b"", "cut off"), (b"x" * 99999, "changed")],
    ids=["missing", "cut", "changed"],
)
def test_pull_names_a_file_that_is_not_as_promoted_and_leaves_nothing(run, tmp_path, content, what):
    add(run, str(tmp_path / "models"), "1.0.0")
    registry = Damaged(tmp_path / "models", **{"MODEL_CARD.md": content})
    with pytest.raises(EdgekdError, match=f"MODEL_CARD.md: {what}"):
        pull(f"{NAME}@1.0.0", registry, out=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models"]


def test_pull_follows_no_link_and_takes_nothing_but_what_the_manifest_has(run, tmp_path):
    models = tmp_path / "models"
    add(run, str(models), "1.0.0")
    version = models / NAME / "1.0.0"
    (version / "extra").write_text("more")
    pulled = pull(f"{NAME}@1.0.0", registry_at(str(models)), out=tmp_path / "out").folder
    assert not (pulled / "extra").exists()
    os.replace(version / "MODEL_CARD.md", tmp_path / "card")
    (version / "MODEL_CARD.md").symlink_to(tmp_path / "card")
    with pytest.raises(EdgekdError, match=r"MODEL_CARD.md: missing"):
        pull(f"{NAME}@1.0.0", registry_at(str(models)), out=tmp_path / "again")


@pytest.mark.parametrize("path", ["../stolen", "/tmp/stolen", "export/../../stolen"])
def test_pull_refuses_paths_that_leave_their_folder(run, tmp_path, path):
    add(run, str(tmp_path / "models"), "1.0.0")
    manifest = tmp_path / "models" / NAME / "1.0.0" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["files"][path] = {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    changed = {"manifest.json": json.dumps(told).encode(), path: b"x"}
    with pytest.raises(EdgekdError, match="no bundle has"):
        pull(f"{NAME}@1.0.0", Damaged(tmp_path / "models", **changed), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pull_never_replaces_what_is_there(run, tmp_path):
    add(run, str(tmp_path / "models"), "1.0.0")
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="already"):
        pull(f"{NAME}@1.0.0", registry_at(str(tmp_path / "models")), out=tmp_path / "out")


@pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="needs ssh-keygen; .ci/run installs openssh-client"
)
def test_a_signed_model_is_the_one_that_was_asked_for(run, tmp_path):
    """The commands, and an attacker who offers an older signed version as the newer one."""
    runner, models, key = CliRunner(), tmp_path / "models", tmp_path / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    arguments = ["promote", str(run), "--to", str(models), "--name", "four"]
    done = runner.invoke(app, [*arguments, "--version", "1.0.0", "--sign", str(key)])
    assert done.stdout == "four@1.0.0\n", done.exception
    done = runner.invoke(app, [*arguments, "--sign", str(key)])
    assert done.stdout == "four@1.0.1\n"
    assert runner.invoke(app, arguments).stdout == "four@1.0.2\n"

    def pulled(version: str, out: str):
        words = ["pull", f"four@{version}", "--from", str(models), "--out", str(tmp_path / out)]
        return runner.invoke(app, [*words, "--signer", f"{key}.pub"])

    done = pulled("1.0.1", "a")
    assert done.exit_code == 0 and 'Good "edgekd" signature' in done.stdout
    verify(tmp_path / "a", tmp_path / "key.pub")
    done = pulled("latest", "b")
    assert isinstance(done.exception, EdgekdError) and "not signed" in str(done.exception)
    shutil.rmtree(models / "four/1.0.2")
    shutil.copytree(models / "four/1.0.0", models / "four/1.0.2")
    done = pulled("1.0.2", "c")
    assert "is kept as four 1.0.2 is four 1.0.0" in str(done.exception)
    assert not (tmp_path / "b").exists() and not (tmp_path / "c").exists()


WRITER = """
import sys, time
from pathlib import Path
from edgekd.errors import ConfigError
from edgekd.registry.folder import FolderRegistry

folder, mine = Path(sys.argv[1]), sys.argv[2].encode()
(folder / sys.argv[2]).touch()
while len([each for each in ("a", "b") if (folder / each).exists()]) < 2:
    time.sleep(0.001)
for patch in range(40):
    try:
        files = {f"part/{n}": mine for n in range(3)} | {"manifest.json": mine}
        FolderRegistry(folder / "models").put("m", f"1.0.{patch}", files)
        print(patch)
    except ConfigError:
        pass
"""


def test_of_two_processes_that_write_a_version_at_once_exactly_one_wins(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    try:
        told = [writer.communicate(timeout=300)[0].split() for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(map(int, told[0] + told[1])) == list(range(40))
    for name, won in zip("ab", told, strict=True):
        for patch in won:
            content = files_of(tmp_path / "models" / "m" / f"1.0.{patch}")
            assert len(content) == 4 and set(content.values()) == {name.encode()}
    assert {path.name for path in (tmp_path / "models/m").iterdir()} == {
        f"1.0.{patch}" for patch in range(40)
    }


def test_who_comes_second_to_an_object_store_loses_and_the_first_is_whole(monkeypatch):
    """The second one commits while the first uploads."""
    place = f"memory://{uuid.uuid4().hex}"
    slow, quick = UrlRegistry(place), UrlRegistry(place)
    write = slow._write

    def overtaken(path: str, content: bytes, **mode) -> None:
        if mode:
            quick.put("m", "1.0.0", {"manifest.json": b"quick", "x": b"quick"})
        write(path, content, **mode)

    monkeypatch.setattr(slow, "_write", overtaken)
    with pytest.raises(ConfigError, match="already"):
        slow.put("m", "1.0.0", {"manifest.json": b"slow", "x": b"slow"})
    assert [quick.read("m", "1.0.0", path) for path in ("manifest.json", "x")] == [b"quick"] * 2
    assert quick.versions("m") == ["1.0.0"]


KILLED = """
import os, signal, sys
from pathlib import Path
from edgekd.pipeline import read_summary
from edgekd.registry.promote import promote
from edgekd.registry.stores import registry_at

replace = os.replace
def killed(source, target):
    if os.path.isdir(source):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = killed
run = Path(sys.argv[1])
promote(run, read_summary(run), registry_at(sys.argv[2]), version="1.0.0")
"""


def test_a_promote_that_is_killed_before_its_end_leaves_nothing_to_be_seen(run, tmp_path):
    """At the worst moment: all is written, and nothing renamed."""
    models = tmp_path / "models"
    done = subprocess.run([sys.executable, "-c", KILLED, str(run), str(models)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list((models / NAME).glob(".writing-*/1.0.0/manifest.json")), "it did come so far"
    registry = registry_at(str(models))
    assert registry.versions(NAME) == []
    for version in ("1.0.0", "latest"):
        with pytest.raises(ConfigError, match="has no"):
            pull(f"{NAME}@{version}", registry, out=tmp_path / "out")
    add(run, str(models), "1.0.0")
    assert pull(f"{NAME}@latest", registry, out=tmp_path / "out").verified.signed is None


def test_an_upload_that_breaks_off_leaves_nothing_to_be_seen(run, monkeypatch):
    place = f"memory://{uuid.uuid4().hex}"
    registry = UrlRegistry(place)
    pipe = registry.files.pipe_file

    def broken(path: str, content: bytes, **mode) -> None:
        if path.endswith("manifest.json"):
            raise ConnectionError("the line went dead")
        pipe(path, content, **mode)

    monkeypatch.setattr(registry.files, "pipe_file", broken)
    with pytest.raises(EdgekdError, match="cannot be written") as caught:
        promote(run, read_summary(run), registry, version="1.0.0")
    assert "line went dead" in caught.value.where
    assert registry.files.find(registry.root), "it did come so far"
    monkeypatch.undo()
    assert registry.versions(NAME) == [] and registry.read(NAME, "1.0.0", "summary.json") is None
    assert add(run, place, "1.0.0").version == "1.0.0"


def test_the_pipeline_file_is_yaml_that_people_read(run, tmp_path):
    add(run, str(tmp_path / "models"), "1.0.0")
    text = (tmp_path / "models" / NAME / "1.0.0" / "pipeline.yaml").read_text()
    assert text.startswith("name: digits\n") and yaml.safe_load(text)["seed"] == 0
