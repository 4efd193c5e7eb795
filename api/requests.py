"""Request headers and parameters: `Idempotency-Key`, the page of a list, `If-Match`."""

import falcon

from api.guards import optional_caller
from moneyflow.platform.http import etags
from moneyflow.platform.http.idempotency import IdempotencyKeys, IdempotentRequest
from moneyflow.platform.http.pages import Keyset, Page


def idempotent(request: falcon.Request, keys: IdempotencyKeys, content: bytes) -> IdempotentRequest:
    """Return the request with its `Idempotency-Key`; the same key of another caller or route is another key."""
    route = f"{request.method} {request.uri_template}"
    caller = optional_caller(request)
    scope = route if caller is None else f"{route} {caller.user_id}"
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
