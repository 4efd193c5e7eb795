"""Marks: an event says that a person changed, so the person is due to be sent. What changed is read at that moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.queries import array, load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An event about a person: its sequence on `user.events` or on `auth.events`, and when the person signed in."""

    user_id: UUID
    user_sequence: int = 0
    auth_sequence: int = 0
    signed_in_at: datetime | None = None


def mark(session: Session, marks: Sequence[Mark]) -> int:
    """Note that people changed, and return how many of the marks are new; one that comes again changes nothing."""
    rows = session.fetch_all(_QUERIES["lock"], {"ids": array({one.user_id for one in marks})})
    known = {row["user_id"]: (row["user_sequence"], row["auth_sequence"]) for row in rows}
    changed: dict[UUID, Mark] = {}
    new = 0
    for one in marks:
        users, auths = known.get(one.user_id, (0, 0))
        if one.user_sequence <= users and one.auth_sequence <= auths:
            continue
        new += 1
        known[one.user_id] = max(users, one.user_sequence), max(auths, one.auth_sequence)
        changed[one.user_id] = _later(changed.get(one.user_id), one)
    if changed:
        _write(session, list(changed.values()))
    return new


def _later(before: Mark | None, one: Mark) -> Mark:
    """Return two marks of one person as one."""
    if before is None:
        return one
    moments = [moment for moment in (before.signed_in_at, one.signed_in_at) if moment]
    return Mark(
        user_id=one.user_id,
        user_sequence=max(before.user_sequence, one.user_sequence),
        auth_sequence=max(before.auth_sequence, one.auth_sequence),
        signed_in_at=max(moments, default=None),
    )


def _write(session: Session, marks: Sequence[Mark]) -> None:
    session.execute(
        _QUERIES["mark"],
        {
            "ids": array(one.user_id for one in marks),
            "user_sequences": array(one.user_sequence for one in marks),
            "auth_sequences": array(one.auth_sequence for one in marks),
            "signed_in": [one.signed_in_at for one in marks],
        },
    )
