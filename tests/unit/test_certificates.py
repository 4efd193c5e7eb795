"""The certificate of the front door: made where none is, and a real one is never touched."""

import ssl
import subprocess
from pathlib import Path

import pytest

from moneyflow.platform.errors import ConfigurationError
from ops.certificates import ensure_certificate


def test_a_certificate_is_made_once_with_its_key_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "certificates"

    ensure_certificate(folder)
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    ensure_certificate(folder)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made
    assert made.keys() == {"server.pem", "server.key", "ca.pem"}, "the authority's key is gone"
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
    ssl.create_default_context(cafile=folder / "ca.pem")


def test_one_of_ours_is_replaced_when_it_expires_soon(tmp_path: Path) -> None:
    ensure_certificate(tmp_path)
    _sign_again(tmp_path, days=1)
    expiring = (tmp_path / "server.pem").read_bytes()

    is_made = ensure_certificate(tmp_path)

    assert is_made
    assert (tmp_path / "server.pem").read_bytes() != expiring


@pytest.mark.parametrize("authority", [None, "the operator's own chain", "an older one of ours"])
def test_a_real_certificate_and_its_key_are_not_touched(tmp_path: Path, authority: str | None) -> None:
    if authority == "an older one of ours":
        ensure_certificate(tmp_path)
    elif authority:
        (tmp_path / "ca.pem").write_text(authority, encoding="ascii")
    _openssl(tmp_path, f"req -x509 {_KEY} -keyout server.key -out server.pem -days 1 -subj /CN=api.example.com")
    real = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    is_made = ensure_certificate(tmp_path)

    assert not is_made
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == real


def test_a_certificate_of_an_authority_with_another_name_is_not_touched(tmp_path: Path) -> None:
    _sign_again(tmp_path, days=1, authority="/CN=Our company")
    real = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert not ensure_certificate(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == real


def test_a_key_without_its_certificate_is_reported_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "server.key").write_text("a key whose certificate is on its way", encoding="ascii")

    with pytest.raises(ConfigurationError, match="add the certificate"):
        ensure_certificate(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["server.key"]


_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


def _sign_again(folder: Path, *, days: int, authority: str = "/CN=Money Flow development") -> None:
    """Replace the certificate by one of an authority of this name that expires after so many days."""
    ca = ("req", "-x509", *_KEY.split(), "-keyout", "ca.key", "-out", "ca.pem", "-subj", authority)
    subprocess.run(("openssl", *ca), cwd=folder, check=True, capture_output=True)
    _openssl(folder, f"req {_KEY} -keyout server.key -out csr -subj /CN=localhost")
    _openssl(folder, f"x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -out server.pem")
    for path in folder.iterdir():
        if path.name not in {"server.pem", "server.key", "ca.pem"}:
            path.unlink()


def _openssl(folder: Path, command: str) -> None:
    subprocess.run(("openssl", *command.split()), cwd=folder, check=True, capture_output=True)
