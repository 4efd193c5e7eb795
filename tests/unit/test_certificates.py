"""The certificate of the front door: made where none is, and a real one is never touched."""

import ssl
from pathlib import Path

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


def test_a_real_certificate_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_text("from an authority", encoding="ascii")

    ensure_certificate(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["server.pem"]
