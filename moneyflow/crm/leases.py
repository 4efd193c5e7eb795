"""Leases: people who are due, taken by one sender each, with their current rows; and the notes of what came of them.

A person is read after they are locked, so the state is at least as new as the event that made them due, and one sender
at a time has them. A sender whose lease is over has lost its fence: what it has sent may be older than what the next
one sends, so its note makes the person due again.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import orjson
from psycopg.rows import DictRow

from moneyflow.crm import metrics
from moneyflow.gateways.crm import Contact, CrmDownError, Refusal, Removal
from moneyflow.platform.database import Session
from moneyflow.platform.queries import array, load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=Path(__file__).with_name("fragments.sql"))

#: Refusals in a row that may pass, until they are taken as lasting.
MOST_PASSING_REFUSALS = 6


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A person whom this sender has: the state to send. `is_known`: the CRM has it already."""

    user_id: UUID
    revision: int
    fence: int
    attempts: int
    state: Contact | Removal
    is_known: bool

    @property
    def is_removed(self) -> bool:
        """Whether the person is deleted here."""
        return isinstance(self.state, Removal)


def claim(session: Session, *, limit: int, lease_seconds: float) -> list[Lease]:
    """Lease up to `limit` people who are due, and read them as they are now."""
    parameters = {"limit": limit, "lease": timedelta(seconds=lease_seconds)}
    rows = session.fetch_all(_QUERIES["claim"], parameters)
    if not rows:
        return []
    found = session.fetch_all(_QUERIES["people"], {"ids": array(row["user_id"] for row in rows)})
    people = {person["id"]: person for person in found}
    leases = [_lease(row, people.get(row["user_id"])) for row in rows]
    _keep_states(session, leases)
    return leases


def unchanged(session: Session, leases: Sequence[Lease]) -> None:
    """Note that there is nothing to send of these."""
    _note(session, "unchanged", leases)


def accepted(session: Session, leases: Sequence[Lease], *, settle_seconds: float) -> None:
    """Note that the CRM has these states; after a lost answer they are sent once more, `settle_seconds` later."""
    _note(session, "accepted", leases, settle=timedelta(seconds=settle_seconds))


def refused(session: Session, leases: Sequence[Lease], why: Mapping[UUID, Refusal], *, waits: Sequence[float]) -> None:
    """Note that the CRM refuses these: set aside, or due again when the refusal may pass."""
    errors = [str(why[one.user_id]) for one in leases]
    seconds = [
        _wait(one, waits) if why[one.user_id].may_pass and one.attempts < MOST_PASSING_REFUSALS else None
        for one in leases
    ]
    _note(session, "refused", leases, errors=errors, waits=seconds)


def failed(session: Session, leases: Sequence[Lease], error: CrmDownError, *, waits: Sequence[float]) -> None:
    """Note that the CRM is down: these wait by the schedule, and at least for as long as it asks."""
    seconds = [max(_wait(one, waits), error.retry_after_seconds) for one in leases]
    errors = [error.detail] * len(leases)
    _note(session, "failed", leases, errors=errors, waits=seconds, may_have_acted=error.may_have_acted)


def released(session: Session, leases: Sequence[Lease]) -> None:
    """Give back people of whom nothing was sent."""
    _note(session, "released", leases)


def digest_of(user_id: UUID, fields: Mapping[str, str | None] | None) -> bytes:
    """Return what is the same for the same state of a person; None for one who is deleted."""
    return hashlib.sha256(user_id.bytes + orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).digest()


def contact_of(person: DictRow, *, version: int, last_sign_in_at: object) -> Contact:
    """Return a person's row as a contact."""
    return Contact(**person, version=version, last_sign_in_at=last_sign_in_at)  # type: ignore[arg-type] # of the row


def _wait(lease: Lease, waits: Sequence[float]) -> float:
    return waits[min(lease.attempts, len(waits) - 1)]


def _lease(row: DictRow, person: DictRow | None) -> Lease:
    state = _state(row, person)
    before = row["digest"] and bytes(row["digest"])
    is_same = before == _digest(state)
    version = row["version"] if is_same else row["version"] + 1
    was_never_sent = row["version"] == 0 and isinstance(state, Removal)
    return Lease(
        user_id=row["user_id"],
        revision=row["revision"],
        fence=row["fence"],
        attempts=row["attempts"],
        state=replace(state, version=version),
        is_known=not row["must_send"] and (was_never_sent or (is_same and row["synced_version"] == version)),
    )


def _state(row: DictRow, person: DictRow | None) -> Contact | Removal:
    if person is None:
        return Removal(id=row["user_id"], version=row["version"])
    return contact_of(person, version=row["version"], last_sign_in_at=row["last_sign_in_at"])


def _digest(state: Contact | Removal) -> bytes:
    return digest_of(state.id, state.fields() if isinstance(state, Contact) else None)


def _keep_states(session: Session, leases: Sequence[Lease]) -> None:
    sent = [one for one in leases if not one.is_known]
    parameters = {
        "ids": array(one.user_id for one in sent),
        "versions": array(one.state.version for one in sent),
        "digests": [_digest(one.state) for one in sent],
    }
    session.execute(_QUERIES["keep_states"], parameters)


def _note(
    session: Session,
    query: str,
    leases: Sequence[Lease],
    *,
    errors: Sequence[str] = (),
    waits: Sequence[float | None] = (),
    **others: object,
) -> None:
    """Note what came of people; those whom another sender has taken over are due again."""
    if not leases:
        return
    nothing = [None] * len(leases)
    parameters = {
        "ids": array(one.user_id for one in leases),
        "fences": array(one.fence for one in leases),
        "revisions": array(one.revision for one in leases),
        "removed": [one.is_removed for one in leases],
        "errors": list(errors) or nothing,
        "waits": [None if wait is None else timedelta(seconds=wait) for wait in waits] or nothing,
    }
    noted = {row["user_id"] for row in session.fetch_all(_QUERIES[query], {**parameters, **others})}
    _resend(session, [one.user_id for one in leases if one.user_id not in noted])


def _resend(session: Session, overtaken: Collection[UUID]) -> None:
    if overtaken:
        metrics.people.labels("overtaken").inc(len(overtaken))
        session.execute(_QUERIES["overtaken"], {"ids": array(sorted(overtaken))})
