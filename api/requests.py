"""Request headers and parameters: `Idempotency-Key`, the page of a list, `If-Match`."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import falcon

from api.guards import optional_caller
from moneyflow.platform.errors import PreconditionFailedError
from moneyflow.platform.http import etags
from moneyflow.platform.http.idempotency import IdempotencyKeys, IdempotentRequest
from moneyflow.platform.http.pages import Keyset, Page

T = TypeVar("T")
R = TypeVar("R")

#: How often a change under `If-Match: *` begins again because another one was faster.
_ATTEMPTS = 10


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


def change_matched(
    request: falcon.Request, *, read: Callable[[], T], etag_of: Callable[[T], str], change: Callable[[T], R]
) -> R:
    """Change what `If-Match` names, as it was read, and return what `change` does.

    Where another request was faster, it is read again: `If-Match: *` holds then too, and an ETag does not.

    Raises:
        PreconditionRequiredError: the client names no read.
        PreconditionFailedError: the row has changed since the client's last read, or changes all the time.
    """
    for _ in range(_ATTEMPTS - 1):
        current = read()
        require_match(request, etag_of(current))
        with suppress(PreconditionFailedError):
            return change(current)
    current = read()
    require_match(request, etag_of(current))
    return change(current)
