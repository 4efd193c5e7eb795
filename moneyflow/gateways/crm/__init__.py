"""The CRM gateway: `Crm` is its protocol.

Adapters are `hubspot.HubSpot`, `webhook.WebhookCrm`, and `fake.FakeCrm` for unit tests. All of them pass one
conformance suite, `tests/integration/test_crm_adapters.py`.

SECURITY: a contact holds personal data. Its values are in requests to the CRM, and in no log, error or representation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from moneyflow.platform.errors import PermanentError, UnavailableError

__all__ = ["Answer", "BatchRefusedError", "Contact", "Crm", "CrmDownError", "Refusal", "Removal"]


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A person as of one moment. `version` grows with each state that is sent."""

    id: UUID
    version: int
    email: str = field(repr=False)
    name: str = field(repr=False)
    created_at: datetime
    activated_at: datetime | None = None
    last_sign_in_at: datetime | None = None

    def fields(self) -> dict[str, str | None]:
        """Return the values that the CRM is given, as text; times to the millisecond, as CRMs keep them."""
        return {
            "email": self.email,
            "name": self.name,
            "created_at": moment_text(self.created_at),
            "activated_at": moment_text(self.activated_at),
            "last_sign_in_at": moment_text(self.last_sign_in_at),
        }


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A person who is deleted here: the contact is deleted there by the id alone."""

    id: UUID
    version: int


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why the CRM refuses one person (4xx): a code and the name of a field, and no value.

    One that `may_pass` is about another contact, such as an address that moves from one person to another.
    """

    code: str
    field: str | None = None
    may_pass: bool = False

    def __str__(self) -> str:
        return f"{self.code} ({self.field})" if self.field else self.code


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Which people the CRM has taken, and why it refuses others. About those in neither it has said nothing."""

    accepted: frozenset[UUID] = frozenset()
    refused: Mapping[UUID, Refusal] = field(default_factory=dict)


class CrmDownError(UnavailableError):
    """The CRM is down, limits requests, or refuses all of them: no one is set aside, and all wait.

    `may_have_acted`: the answer is lost, so that the request may have been carried out, or be carried out still.
    """

    def __init__(self, detail: str, *, retry_after_seconds: float = 0, may_have_acted: bool = False) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
        self.may_have_acted = may_have_acted


class BatchRefusedError(PermanentError):
    """The CRM refuses the request as a whole because of someone in it, and does not say whom."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"the CRM refuses a batch: {refusal}")
        self.refusal = refusal


class Crm(Protocol):
    """Contacts elsewhere, by the ids of our users. Used by one thread.

    Every method that asks the CRM raises:
        CrmDownError: it has not answered, or not now.
        BatchRefusedError: see there; of `upsert` and `remove`.
    """

    #: The name by which settings and metrics know it, and its address, for messages.
    name: str
    url: str
    #: The most people of one request.
    batch_limit: int
    #: How many requests it takes from all of our processes together.
    requests_per_second: float
    #: Seconds until the next attempt with a person after one failure, after two …; the last one repeats.
    retry_seconds: Sequence[float]
    #: Whether it can be asked for its contacts: `find` and `ids`.
    is_readable: bool

    def upsert(self, contacts: Sequence[Contact]) -> Answer:
        """Create or replace contacts by their ids; sent again, it changes nothing."""
        ...

    def remove(self, removals: Sequence[Removal]) -> Answer:
        """Delete contacts by their ids; one that is not there counts as deleted."""
        ...

    def find(self, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, str | None]]:
        """Return the contacts that are there with their values, named and written as by `Contact.fields`."""
        ...

    def ids(self) -> Iterator[Sequence[UUID]]:
        """Yield the ids of all contacts that are there by an id of ours, page by page."""
        ...

    def close(self) -> None:
        """Close the connections; safe to repeat."""
        ...


def moment_text(moment: datetime | None) -> str | None:
    """Return a time in UTC to the millisecond, such as 2026-01-02T03:04:05.678Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
