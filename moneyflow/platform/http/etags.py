"""Entity tags (RFC 9110): conditional reads with `If-None-Match`, conditional updates with `If-Match`."""

from uuid import UUID

from moneyflow.platform.errors import PreconditionFailedError, PreconditionRequiredError
from moneyflow.platform.patterns import Pattern

_TAG = Pattern(r'(W/)?"([^"]*)"', longest=8192)


def version_etag(row_id: UUID, version: int) -> str:
    """Return the strong tag of a row that counts its changes.

    SECURITY: it names the row. A browser that two people use one after the other has kept what the first one read under
    the same address, and would show it to the second one whose row has as many changes.
    """
    return f'"{row_id}.{version}"'


def is_listed(etag: str, *, if_none_match: str | None) -> bool:
    """Return whether the client has this state already; weak comparison, as RFC 9110 demands for `If-None-Match`."""
    if if_none_match is None:
        return False
    known = {_opaque(tag[2]) for tag in _TAG.finditer(if_none_match)}
    return if_none_match.strip() == "*" or _opaque(etag) in known


def require_match(etag: str, *, if_match: str | None) -> None:
    """Check that the client saw the current state; strong comparison, as RFC 9110 demands for `If-Match`.

    Raises:
        PreconditionRequiredError: the client names no read.
        PreconditionFailedError: the row has changed since the client's last read.
    """
    if if_match is None:
        raise PreconditionRequiredError("send the ETag of your last read in the header If-Match")
    strong = {_opaque(tag[2]) for tag in _TAG.finditer(if_match) if not tag[1]}
    if if_match.strip() != "*" and _opaque(etag) not in strong:
        raise PreconditionFailedError("it has changed since your last read; read it again and repeat your change")


def _opaque(etag: str) -> str:
    """Return a tag's text; a compressed answer's ends with `-gzip`, and is of the same state."""
    return etag.removeprefix("W/").strip('"').removesuffix("-gzip")
