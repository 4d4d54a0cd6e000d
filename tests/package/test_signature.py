"""Signatures by the real ssh-keygen, and bundles that somebody tampered with."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from made_runs import make_run
from typer.testing import CliRunner

from edgekd.cli import app
from edgekd.errors import ConfigError, EdgekdError
from edgekd.package.signature import SIGNATURE, check, sign
from edgekd.package.verify import is_inside, read_manifest, verify
from edgekd.package.write import package
from edgekd.pipeline import read_summary

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="needs ssh-keygen; .ci/run installs openssh-client"
)


def make_key(path: Path, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("ours", "theirs")}


@pytest.fixture(scope="module")
def signed(keys, tmp_path_factory):
    """OUT of a bundle for the web and one for Linux, signed by our key."""
    folder = tmp_path_factory.mktemp("signed")
    run = make_run(folder, "digits")
    out = folder / "out"
    package(run, read_summary(run), ["linux", "web"], out=out, key=keys["ours"])
    return out


@pytest.fixture
def bundle(signed, tmp_path):
    """A bundle with several files to tamper with: what it has, and two of the web's."""
    return shutil.copytree(signed / "linux", tmp_path / "linux")


def test_ssh_keygen_itself_accepts_the_signature(signed, keys, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text(f"me@here {public(keys['ours']).read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-n", "edgekd", "-I", "me@here", "-f", str(allowed)]
    command += ["-s", str(signed / "web" / SIGNATURE)]
    manifest = (signed / "web/manifest.json").read_bytes()
    done = subprocess.run(command, input=manifest, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_signed_bundle_is_verified_by_key_or_by_allowed_signers(signed, keys, tmp_path):
    told = verify(signed / "linux", public(keys["ours"])).signed
    assert told is not None and told.startswith('Good "edgekd" signature for edgekd')
    lines = [
        "# who may release",
        f'other@here,me@here namespaces="edgekd,git" {public(keys["ours"]).read_text().strip()}',
        f"*@there {public(keys['theirs']).read_text().strip()}",
    ]
    allowed = tmp_path / "allowed_signers"
    allowed.write_text("\n".join(lines) + "\n")
    told = verify(signed / "linux", allowed).signed
    assert told is not None and "@here" in told
    assert "@there" in check(b"content", sign(b"content", keys["theirs"]), allowed)


def test_another_key_content_purpose_or_time_is_refused(keys, tmp_path):
    signature = sign(b"content", keys["ours"])
    with pytest.raises(EdgekdError, match="does not hold"):
        check(b"content", signature, public(keys["theirs"]))
    with pytest.raises(EdgekdError, match="incorrect signature"):
        check(b"other", signature, public(keys["ours"]))
    with pytest.raises(EdgekdError, match="does not hold"):
        check(b"content", b"-----BEGIN SSH SIGNATURE-----\nAAAA\n", public(keys["ours"]))
    file = tmp_path / "file"
    file.write_bytes(b"content")
    command = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(keys["ours"]), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    of_git = (tmp_path / "file.sig").read_bytes()
    with pytest.raises(EdgekdError, match="does not hold"):
        check(b"content", of_git, public(keys["ours"]))
    expired = tmp_path / "expired"
    expired.write_text(f'me valid-before="20200101" {public(keys["ours"]).read_text()}')
    with pytest.raises(EdgekdError, match="does not hold"):
        check(b"content", signature, expired)


def test_keys_that_are_none_say_what_to_give(keys, tmp_path):
    with pytest.raises(ConfigError, match="no such key") as caught:
        sign(b"content", tmp_path / "none")
    assert "ssh-keygen -t ed25519" in caught.value.fix
    empty = tmp_path / "empty"
    empty.write_text("\n# nobody\n")
    for wrong in (keys["ours"], empty, tmp_path / "none"):
        with pytest.raises(ConfigError) as caught:
            check(b"content", sign(b"content", keys["ours"]), wrong)
        assert ".pub" in caught.value.fix


def answer_with(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets ssh-keygen ask a program, as it does without a terminal."""
    folder.mkdir()
    asked = folder / "asked"
    asked.write_text(f"#!/bin/sh\necho {text}\n")
    asked.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(asked))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")


def test_a_passphrase_is_asked_for_and_a_wrong_one_leaves_nothing(tmp_path, monkeypatch):
    key, run = make_key(tmp_path / "key", "secret"), make_run(tmp_path, "digits")
    answer_with("wrong", tmp_path / "wrong", monkeypatch)
    arguments = ["package", str(run), "--target", "web", "--sign", str(key)]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, EdgekdError) and "passphrase" in str(done.exception)
    assert not list(run.glob("package-*/*"))
    answer_with("secret", tmp_path / "right", monkeypatch)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.exception
    assert f"web/{SIGNATURE}" in done.stdout
    assert verify(run / "package-0.1.0/web", public(key)).signed


def test_a_key_in_the_agent_signs_by_its_public_half(tmp_path, monkeypatch):
    key, socket = make_key(tmp_path / "key"), tmp_path / "agent"
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert agent.stdout is not None and "SSH_AUTH_SOCK" in agent.stdout.readline()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", str(key)], check=True, capture_output=True)
        key.unlink()
        assert check(b"content", sign(b"content", public(key)), public(key))
    finally:
        agent.terminate()
        agent.communicate()


def test_without_ssh_keygen_it_says_what_to_install(keys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EdgekdError, match="not installed") as caught:
        sign(b"content", keys["ours"])
    assert "openssh-client" in caught.value.fix


def tamper(folder: Path, how: str) -> str:
    """Damages a bundle in one way, and gives the path of the file that must be named."""
    wheel = next(folder.glob("*.whl"))
    card = folder / "MODEL_CARD.md"
    if how == "missing":
        wheel.unlink()
    elif how == "changed":
        content = wheel.read_bytes()
        wheel.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "cut off":
        os.truncate(wheel, 100)
    elif how == "has the content of":
        wheel.write_bytes(card.read_bytes())
    elif how == "not in the manifest":
        (folder / "more").mkdir()
        (folder / "more" / ".extra.py").write_text("import os")
        return "more/.extra.py"
    else:
        content = wheel.read_bytes()
        (folder.parent / "elsewhere").write_bytes(content)
        wheel.unlink()
        wheel.symlink_to(folder.parent / "elsewhere")
    return wheel.name


@pytest.mark.parametrize(
    "how",
    ["missing", "changed", "cut off", "has the content of", "not in the manifest", "a link"],
)
def test_every_kind_of_damage_is_named_with_its_file(how, bundle, keys):
    verify(bundle)
    path = tamper(bundle, how)
    for signer in (None, public(keys["ours"])):
        with pytest.raises(EdgekdError) as caught:
            verify(bundle, signer)
        assert f"{path}: {how}" in str(caught.value)


def test_all_faults_are_told_at_once(bundle):
    one, two = tamper(bundle, "cut off"), tamper(bundle, "not in the manifest")
    with pytest.raises(EdgekdError) as caught:
        verify(bundle)
    assert one in str(caught.value) and two in str(caught.value)


def test_who_changes_the_manifest_as_well_is_caught_by_the_signature_only(bundle, signed, keys):
    manifest = bundle / "manifest.json"
    told = json.loads(manifest.read_text())
    (bundle / "MODEL_CARD.md").write_text("All is well.")
    content = (bundle / "MODEL_CARD.md").read_bytes()
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    told["files"]["MODEL_CARD.md"] = entry
    manifest.write_text(json.dumps(told))
    assert verify(bundle).signed is None
    with pytest.raises(EdgekdError, match="does not hold"):
        verify(bundle, public(keys["ours"]))
    shutil.copy(signed / "web/manifest.json", manifest)
    shutil.copy(signed / "web" / SIGNATURE, bundle)
    with pytest.raises(EdgekdError, match="missing"):
        verify(bundle, public(keys["ours"]))
    (bundle / SIGNATURE).unlink()
    with pytest.raises(EdgekdError, match="not signed"):
        verify(bundle, public(keys["ours"]))


def test_the_command_tells_what_it_did_not_check(bundle, signed, keys):
    runner = CliRunner()
    done = runner.invoke(app, ["verify", str(bundle)])
    assert done.exit_code == 0 and "no protection against tampering" in done.stdout
    done = runner.invoke(app, ["verify", str(bundle), "--signer", str(public(keys["ours"]))])
    assert done.exit_code == 0 and "tampering" not in done.stdout and "Good" in done.stdout
    done = runner.invoke(app, ["verify", str(signed)])
    assert isinstance(done.exception, ConfigError) and "linux, web" in done.exception.fix


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../x", "a//x", "./x", "", "a\\x", "C:x", "a/"]
)
def test_paths_that_leave_their_folder_are_refused(path):
    assert not is_inside(path)
    told = {"name": "n", "version": "1.0.0", "files": {path: {"bytes": 0, "sha256": ""}}}
    with pytest.raises(EdgekdError, match="no bundle has"):
        read_manifest(json.dumps(told).encode(), "here")
    assert is_inside("maven/com/example/a-1.0.0.aar") and is_inside("..a/b..c")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"files": {"a": 1}}', b'{"files": {}}', b"\xff"])
def test_a_broken_manifest_is_told(content, tmp_path):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(EdgekdError, match="manifest cannot be read"):
        verify(tmp_path)
