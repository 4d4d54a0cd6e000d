"""Where the page is served, how that is shown, and the certificate for other machines."""

from __future__ import annotations

import hashlib
import ipaddress
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from edgekd.config.device import DeviceSettings
from edgekd.devices.answers import tail
from edgekd.devices.browser_link import Link
from edgekd.devices.browser_server import Server
from edgekd.errors import StageError

LOOPBACK = "127.0.0.1"
ELSEWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737): this machine's own address is the one by which it would go."""
DAYS = "2"
"""A certificate lives no longer: each measurement has a new one."""


def is_loopback(settings: DeviceSettings) -> bool:
    """Whether only this machine reaches the page."""
    host = settings.host or LOOPBACK
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bound_to(settings: DeviceSettings, link: Link, assets: dict[str, Path], folder: Path) -> Server:
    """The server, bound to the profile's address.

    Args:
        folder: for a certificate and its key.

    Raises:
        StageError: the address cannot be bound, or a certificate cannot be made.
    """
    host, port = settings.host or LOOPBACK, settings.port or 0
    tls = None if is_loopback(settings) or not settings.tls else _certificate(folder, settings.name)
    try:
        return Server(host, port, link, assets, tls)
    except OSError as error:
        raise StageError(
            "The page cannot be served at this address.",
            where=f"{settings.name}: {host}:{port or 'any port'}: {error.strerror or error}",
            fix="give an address of this machine, or 0.0.0.0 for all of them, and a port that is "
            "free",
        ) from error


def page_address(settings: DeviceSettings, server: Server, token: str) -> str:
    """The page's address, as another machine or this one reaches it."""
    host = settings.host or LOOPBACK
    if host == "0.0.0.0":  # noqa: S104
        host = _own_address()
    scheme = "https" if server.tls else "http"
    return f"{scheme}://{host}:{server.server_address[1]}/{token}/"


def _own_address() -> str:
    """This machine's address in its network; its name where it has none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((ELSEWHERE, 9))
            return str(asked.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A certificate that this machine signs itself, for one measurement.

    Without https a browser gives a page from another machine neither threads nor WebGPU ("secure
    contexts"), and anybody in the network could read what is sent.
    """
    openssl = shutil.which("openssl")
    fix = "install openssl, or write `tls: false` in the device file: one thread, and no WebGPU"
    if openssl is None:
        raise StageError("For https, openssl is needed.", where=name, fix=fix)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = f"subjectAltName=IP:{_own_ip()},DNS:{socket.gethostname()}"
    done = subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", DAYS, "-subj", "/CN=edgekd", "-addext", names,
         "-keyout", str(key), "-out", str(certificate)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode:
        raise StageError(
            "No certificate could be made.", where=f"{name}\n{tail(done.stderr)}", fix=fix
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    key.unlink()
    return context


def _own_ip() -> str:
    try:
        return str(ipaddress.ip_address(_own_address()))
    except ValueError:
        return LOOPBACK


def fingerprint(folder: Path) -> str:
    """SHA-256 of the certificate, as browsers show it."""
    der = ssl.PEM_cert_to_DER_cert((folder / "certificate.pem").read_text(encoding="ascii"))
    digits = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def show(address: str, settings: DeviceSettings, folder: Path) -> None:
    """Prints the address, a QR code of it for phones, and what to know."""
    lines = [f"edgekd: open this address in a browser, within {settings.wait:.0f} s:", "", address]
    if is_loopback(settings):
        lines += ["", "Only this machine reaches it. For a phone in this network: --host 0.0.0.0"]
    else:
        lines += ["", *_code(address)]
        if address.startswith("https:"):
            lines += ["The browser warns, because nobody vouches for this certificate. Compare its "
                      "SHA-256:", fingerprint(folder)]  # fmt: skip
    print("\n".join(lines), file=sys.stderr, flush=True)


def _code(address: str) -> list[str]:
    """The address as a QR code of block characters."""
    import io

    try:
        import segno
    except ImportError:
        return ["For a QR code of it: pip install segno", ""]
    out = io.StringIO()
    segno.make(address, error="l", micro=False).terminal(out=out, compact=True)
    return [out.getvalue().rstrip("\n"), ""]
