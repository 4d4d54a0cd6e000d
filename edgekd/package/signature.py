"""Signatures of manifests: OpenSSH's (its PROTOCOL.sshsig), made and checked by the system's
`ssh-keygen`. Its keys, its agent and its prompts are the user's own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from edgekd.errors import ConfigError, EdgekdError

NAMESPACE = "edgekd"
"""What a signature is for: one that was made for anything else is refused."""
SIGNATURE = "manifest.json.sig"
PUBLIC_KEY = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+ +AAAA[\w+/=]+(?: .*)?")
"""A line of a `.pub` file. Lines of allowed signers begin with who signs instead."""


def sign(content: bytes, key: Path) -> bytes:
    """The signature of `content`, in ssh-keygen's armour.

    Args:
        key: a private key, whose passphrase ssh-keygen asks for on the terminal; or a public one,
            whose private half the SSH agent has.

    Raises:
        ConfigError: there is no such key.
        EdgekdError: ssh-keygen is missing, or could not sign; it tells why.
    """
    if not key.is_file():
        raise ConfigError(
            "There is no such key to sign with.",
            where=str(key),
            fix=f"ssh-keygen -t ed25519 -f {key} makes one",
        )
    with tempfile.TemporaryDirectory(prefix="edgekd-sign-") as folder:
        file = Path(folder) / "manifest.json"
        file.write_bytes(content)
        command = ["-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file)]
        done = _ssh_keygen(command, asks=True)
        signed = file.with_name(SIGNATURE)
        if done.returncode or not signed.is_file():
            raise EdgekdError(
                f"ssh-keygen did not sign: {_told(done.stderr)}.",
                where=str(key),
                fix="check its passphrase, or ssh-add the key and give its .pub file",
            )
        return signed.read_bytes()


def check(content: bytes, signature: bytes, signer: Path) -> str:
    """Who signed `content`, as ssh-keygen tells it.

    Args:
        signer: a file with a public key, or with allowed signers (ssh-keygen(1), ALLOWED SIGNERS).

    Raises:
        ConfigError: `signer` is neither.
        EdgekdError: ssh-keygen is missing; the signature is of another content, key or purpose.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-verify-") as folder:
        allowed, signed = Path(folder) / "allowed_signers", Path(folder) / SIGNATURE
        allowed.write_text(_allowed_signers(signer), encoding="utf-8")
        signed.write_bytes(signature)
        common = ["-f", str(allowed), "-s", str(signed)]
        found = _ssh_keygen(["-Y", "find-principals", *common])
        why = _told(found.stderr) or "nobody of that file has this key"
        # Several names of one key come as lines or with commas, by OpenSSH's version.
        for name in re.split(r"[,\r\n]+", found.stdout.decode(errors="replace").strip()):
            if found.returncode or not name:
                continue
            command = ["-Y", "verify", "-n", NAMESPACE, "-I", name, *common]
            done = _ssh_keygen(command, content)
            if done.returncode == 0:
                return _told(done.stdout)
            why = _told(done.stderr + done.stdout)
    raise EdgekdError(
        f"The signature does not hold: {why}.",
        where=f"{SIGNATURE}, against {signer}",
        fix="do not use these files; fetch them again from where they were signed",
    )


def _allowed_signers(signer: Path) -> str:
    """The file as allowed signers; a public key's owner is called edgekd."""
    try:
        text = signer.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "The signer's key cannot be read.",
            where=f"{signer}: {error}",
            fix="give a public key (.pub) or a file of allowed signers",
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines or lines[0].startswith("-----BEGIN"):
        raise ConfigError(
            "Signatures are checked with a public key, and this file holds none.",
            where=str(signer),
            fix="give the .pub file beside the private key, or a file of allowed signers",
        )
    named = [
        f'{NAMESPACE} namespaces="{NAMESPACE}" {line}' if PUBLIC_KEY.fullmatch(line) else line
        for line in lines
    ]
    return "\n".join(named) + "\n"


def _ssh_keygen(
    arguments: list[str], given: bytes = b"", *, asks: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Runs it; one that may ask for a passphrase keeps the terminal."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise EdgekdError(
            "Signatures need ssh-keygen, and it is not installed.",
            fix="install OpenSSH's client, 8.2 or newer (Debian: apt install openssh-client)",
        )
    command = [program, *arguments]
    try:
        if asks:
            return subprocess.run(command, capture_output=True, check=False)
        return subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EdgekdError("ssh-keygen cannot be run.", where=f"{program}: {error}") from error


def _told(output: bytes) -> str:
    """What it said in one line, without its temporary files' names."""
    text = " ".join(output.decode(errors="replace").split())
    return re.sub(r"/\S*edgekd-(?:sign|verify)-\w+/", "", text)[:300].rstrip(".")
