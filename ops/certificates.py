"""`python -m ops.certificates FOLDER`: a certificate of the front door for development, where there is no real one.

The folder then has `server.pem` and `server.key`, which nginx uses, and `ca.pem`, the authority that clients are given.
The key of the authority is deleted as soon as it has signed, so that no other certificate can be made with it. Only a
certificate that such an authority has signed is ever replaced: a real one, its key and its `ca.pem` are never touched.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.telemetry.start import run

_AUTHORITY_NAME = "CN=Money Flow development"
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


def ensure_certificate(folder: Path) -> bool:
    """Make a certificate where none is, or where one of ours expires soon; return whether one was made.

    Raises:
        ConfigurationError: openssl is missing, or failed; or a part of a certificate is there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, key, authority = (folder / name for name in ("server.pem", "server.key", "ca.pem"))
    if _is_there(certificate):
        if not is_ours(certificate, authority) or _lasts(certificate):
            return False
    elif _is_there(key) or _is_there(authority):
        raise ConfigurationError(
            f"{folder} has no server.pem, and a server.key or a ca.pem, which are not overwritten; "
            "add the certificate, or delete these files, and one for development is made"
        )
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = _make(Path(scratch))
        certificate.unlink(missing_ok=True)  # It never is next to a key that is not its own.
        for name in ("server.key", "ca.pem", "server.pem"):
            (made / name).replace(folder / name)
    return True


def is_ours(certificate: Path, authority: Path) -> bool:
    """Return whether a certificate was signed by this authority, and the authority is one of this module's."""
    issuer = _output("x509", "-noout", "-issuer", "-nameopt", "RFC2253", "-in", certificate)
    # An expired certificate is still ours.
    verified = _output("verify", "-no_check_time", "-CAfile", authority, "-no-CApath", "-no-CAstore", certificate)
    return issuer == f"issuer={_AUTHORITY_NAME}" and verified == f"{certificate}: OK"


def _make(folder: Path) -> Path:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    extensions = [part for text in _AUTHORITY for part in ("-addext", text)]
    (folder / "extensions").write_text(_SERVER, encoding="ascii")
    _openssl(
        "req", "-x509", *key, "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-days", str(_DAYS),
        "-subj", f"/{_AUTHORITY_NAME}", *extensions,
    )  # fmt: skip
    _openssl("req", *key, "-keyout", folder / "server.key", "-out", folder / "server.csr", "-subj", "/CN=localhost")
    _openssl(
        "x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
        "-CAcreateserial", "-days", str(_DAYS), "-extfile", folder / "extensions", "-out", folder / "server.pem",
    )  # fmt: skip
    (folder / "server.key").chmod(0o600)
    return folder


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _lasts(certificate: Path) -> bool:
    return _run("x509", "-noout", "-in", certificate, "-checkend", str(_RENEWED_SECONDS)).returncode == 0


def _output(*arguments: str | Path) -> str | None:
    """Return what openssl prints; None when it fails, such as for a file that is no certificate."""
    done = _run(*arguments)
    return done.stdout.strip() if done.returncode == 0 else None


def _run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, umask=0o077
        )
    except FileNotFoundError as error:
        raise ConfigurationError("openssl is missing, which makes the certificate; install it") from error


def _openssl(*arguments: str | Path) -> None:
    done = _run(*arguments)
    if done.returncode:
        raise ConfigurationError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def main() -> int:
    """Make the certificate of the folder that is named."""
    folder = Path(sys.argv[1])
    ensure_certificate(folder)
    if is_ours(folder / "server.pem", folder / "ca.pem"):
        print(f"{folder / 'server.pem'} is for development; put a real one there by TLS_FOLDER")
    return 0


if __name__ == "__main__":
    run(main)
