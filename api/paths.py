"""Paths: the ids in them, and the addresses of this API that answers link to."""

from uuid import UUID

from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.ids import parse_id


def id_of(what: str, text: str, *, found: str) -> UUID:
    """Return the id in a path; `found` says where clients find one.

    Raises:
        NotFoundError: the text is not a UUID in its canonical form, so no row has this id.
    """
    parsed = parse_id(text)
    if parsed is None:
        raise NotFoundError(f"the id of a {what} is a UUID; take it from {found}")
    return parsed


def job_url(job_id: UUID) -> str:
    """Return the address of a job's state."""
    return f"/v1/jobs/{job_id}"


def batch_url(batch_id: UUID) -> str:
    """Return the address of a batch's state."""
    return f"/v1/batches/{batch_id}"


def file_url(file_id: str) -> str:
    """Return the address of a file that a job left."""
    return f"/v1/files/{file_id}"
