"""What stands in a path: ids, which are UUIDs."""

from uuid import UUID

from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.ids import parse_id


def id_of(what: str, text: str, *, found: str) -> UUID:
    """Return the id that a path names; `found` says where clients find one.

    Raises:
        NotFoundError: it is not a UUID in its canonical form, so there can be nothing under it.
    """
    parsed = parse_id(text)
    if parsed is None:
        raise NotFoundError(f"an id of a {what} is a UUID, as in {found}")
    return parsed
