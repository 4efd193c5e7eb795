"""`python -m ops.certificates FOLDER`: a certificate of the front door for development, where there is no real one.

The folder then has `server.pem` and `server.key`, which nginx uses, and `ca.pem`, the authority that clients are given.
The key of the authority is deleted as soon as it has signed, so that no other certificate can be made with it. A real
certificate, one without `ca.pem` in its folder, is never touched.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.telemetry.start import run

_DAYS = 365
#: Seconds before its end in which a certificate is replaced.
_RENEWED_SECONDS = 30 * 24 * 3600
_NAMES = "DNS:localhost,DNS:nginx,IP:127.0.0.1,IP:::1"
#: Strict clients, such as Python from 3.13 on, ask for all of these.
_AUTHORITY = ("basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign")
_SERVER = f"""subjectAltName={_NAMES}
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


def ensure_certificate(folder: Path) -> None:
    """Make a certificate where none is, or where one of ours expires soon; safe to repeat.

    Raises:
        ConfigurationError: openssl is missing, or failed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, authority = folder / "server.pem", folder / "ca.pem"
    if certificate.exists() and (not authority.exists() or _lasts(certificate)):
        return
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = _make(Path(scratch))
        for name in ("server.key", "ca.pem", "server.pem"):
            (made / name).replace(folder / name)


def _make(folder: Path) -> Path:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    extensions = [part for text in _AUTHORITY for part in ("-addext", text)]
    (folder / "extensions").write_text(_SERVER, encoding="ascii")
    _openssl(
        "req", "-x509", *key, "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-days", str(_DAYS),
        "-subj", "/CN=Money Flow development", *extensions,
    )  # fmt: skip
    _openssl("req", *key, "-keyout", folder / "server.key", "-out", folder / "server.csr", "-subj", "/CN=localhost")
    _openssl(
        "x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
        "-CAcreateserial", "-days", str(_DAYS), "-extfile", folder / "extensions", "-out", folder / "server.pem",
    )  # fmt: skip
    (folder / "server.key").chmod(0o600)
    return folder


def _lasts(certificate: Path) -> bool:
    command = ["openssl", "x509", "-noout", "-in", str(certificate), "-checkend", str(_RENEWED_SECONDS)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _openssl(*arguments: str | Path) -> None:
    try:
        done = subprocess.run(
            ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, umask=0o077
        )
    except FileNotFoundError as error:
        raise ConfigurationError("openssl is missing, which makes the certificate; install it") from error
    if done.returncode:
        raise ConfigurationError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def main() -> int:
    """Make the certificate of the folder that is named."""
    folder = Path(sys.argv[1])
    ensure_certificate(folder)
    if (folder / "ca.pem").exists():
        print(f"{folder / 'server.pem'} is for development; put a real one there by TLS_FOLDER")
    return 0


if __name__ == "__main__":
    run(main)
