"""Request headers and parameters: `Idempotency-Key`, the page of a list, `If-Match`."""

from uuid import UUID

import falcon

from moneyflow.platform.http import etags
from moneyflow.platform.http.idempotency import IdempotencyKeys, IdempotentRequest
from moneyflow.platform.http.pages import Keyset, Page


def idempotent(
    request: falcon.Request, keys: IdempotencyKeys, content: bytes, *, owner_id: UUID | None = None
) -> IdempotentRequest:
    """Return the request with its `Idempotency-Key`; the same key of another owner or route is another key."""
    route = f"{request.method} {request.uri_template}"
    scope = route if owner_id is None else f"{route} {owner_id}"
    return keys.request(key=request.get_header("Idempotency-Key"), scope=scope, content=content)


def page_of(request: falcon.Request, keyset: Keyset) -> Page:
    """Return the page that `?limit=` and `?cursor=` ask for.

    Raises:
        InvalidInputError: one of them does not fit; `errors` names it.
    """
    return keyset.page(limit=request.get_param("limit"), cursor=request.get_param("cursor"))


def require_match(request: falcon.Request, etag: str) -> None:
    """Check that an update's `If-Match` names the current state.

    Raises:
        PreconditionRequiredError: the client names no read.
        PreconditionFailedError: the row has changed since the client's last read.
    """
    etags.require_match(etag, if_match=request.get_header("If-Match"))
