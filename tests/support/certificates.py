"""Certificates for tests, made by openssl: an authority, and a server's certificate for 127.0.0.1 that it signed."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """The files of one authority and one server, in PEM format."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make an authority of its own and a server's certificate; no client knows the authority but by its file."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    authority_key, request, extensions = folder / "authority.key", folder / "server.csr", folder / "extensions"
    extensions.write_text("subjectAltName = IP:127.0.0.1\n", encoding="ascii")
    _openssl(
        "req", "-x509", *_new_key(authority_key), "-out", made.authority, "-days", "1", "-subj", "/CN=an authority"
    )
    _openssl("req", *_new_key(made.key), "-out", request, "-subj", "/CN=a server")
    _openssl(
        "x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", authority_key, "-out", made.certificate,
        "-days", "1", "-extfile", extensions,
    )  # fmt: skip
    return made


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
