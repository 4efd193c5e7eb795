"""Files' rows: what a file is, whose it is, and for how long it is kept."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from moneyflow.gateways.storage import Written
from moneyflow.gateways.storage.keys import check_key
from moneyflow.platform.database import Session
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file as its row describes it: `size` in bytes, `sha256` hexadecimal; no `expires_at`: it is kept."""

    id: UUID
    key: str
    name: str
    content_type: str
    size: int
    sha256: str
    created_at: datetime
    expires_at: datetime | None


def add(
    session: Session,
    written: Written,
    *,
    name: str,
    content_type: str,
    owner_id: UUID | None,
    job_id: UUID | None = None,
    expires_at: datetime | None = None,
) -> UUID:
    """Add the row of a file that is written already, in the transaction of what names the file, and return its id.

    The file is deleted with its owner and with its job, and when it expires.
    """
    row = {"id": new_id(), "key": check_key(written.key), "size": written.size, "sha256": written.sha256}
    row |= {"name": name, "content_type": content_type, "owner_id": owner_id, "job_id": job_id}
    session.execute(_QUERIES["add"], {**row, "expires_at": expires_at})
    return UUID(str(row["id"]))


def find(scope: OwnerScope, file_id: UUID) -> StoredFile:
    """Return the caller's file; an administrator finds all.

    Raises:
        NotFoundError: there is no such file, it has expired, or it is another user's.
    """
    return StoredFile(**scope.row(_QUERIES["find"], file_id, what="file"))


def delete(session: Session, file_id: UUID) -> None:
    """Delete the row of a file; the sweep deletes the file. Idempotent."""
    session.execute(_QUERIES["delete"], {"id": file_id})


def public_url(key: str) -> str:
    """Return the path at which everyone reads a public file; it leads to the same content for ever.

    Raises:
        ValueError: the key is that of a private file.
    """
    area, _, rest = check_key(key).partition("/")
    if area != "public":
        raise ValueError("the file is private; its owner reads it by its id")
    return f"/storage/{rest}"
