"""Descriptions: what each responder takes and answers, from which the OpenAPI document is made.

Every responder has one, next to the guard that says whom it serves::

    @signed_in
    @describes("change_profile", body=ProfileChange, answers={200: ProfileView}, etag=True, if_match=True)
    def on_patch(self, request, response): …

Its docstring is the text of the operation. What follows from the rest is not repeated: the errors of a body, of a
guard, of a key or of an `If-Match`, and the headers that come with them. The application does not start with a
responder that has no description.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import UnionType
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from moneyflow.platform.errors import MoneyFlowError

R = TypeVar("R", bound=Callable[..., None])


@dataclass(frozen=True)
class Content:
    """An answer that is not JSON, by its media type."""

    media_type: str


@dataclass(frozen=True)
class RawBody:
    """A body that is a file itself, of one of these media types."""

    media_types: tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """What a responder takes and answers; the decorator `describes`."""

    #: The name of the operation in generated clients.
    operation_id: str
    _: KW_ONLY
    #: For each status: the type of the JSON; a `Content`; or None for an answer without a body.
    answers: Mapping[int, type | UnionType | Content | None]
    #: The model that the body is validated by, or what kind of file it is.
    body: type[BaseModel] | RawBody | None = None
    #: The media type of a body that has a model; of a form the model names the parts.
    media_type: str = "application/json"
    #: The types of query parameters, which are optional, and of path parameters that are no UUID, by name.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: Whether `Idempotency-Key` is read.
    idempotent: bool = False
    #: Whether the answer has an `ETag`; a GET is conditional by it.
    etag: bool = False
    #: Whether a part may be asked for by `Range`.
    ranges: bool = False
    #: Whether `If-Match` is required.
    if_match: bool = False
    #: Whether requests are limited, which the headers `RateLimit-…` show.
    limited: bool = False
    #: Whether it answers without any server, and so is never unavailable.
    local: bool = False
    #: Errors that do not follow from the above.
    errors: tuple[type[MoneyFlowError], ...] = ()
    #: What further headers of the answer say, by name.
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, responder: R) -> R:
        """Describe a responder."""
        cast("Any", responder).description = self
        return responder


describes = Description


def description_of(resource: object, method: str) -> Description | None:
    """Return the description of a resource's responder; None when it has none."""
    responder = getattr(resource, f"on_{method.lower()}", None)
    description: Description | None = getattr(responder, "description", None)
    return description
