"""New accounts: of people who sign up, are invited, or are made administrators; not activated yet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.accounts.names import check_person
from moneyflow.events.user import UserCreated, UserDeleted
from moneyflow.platform.database import Session
from moneyflow.platform.events.emit import emit
from moneyflow.platform.ids import new_id
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class AddressHolder:
    """The account of an address; `is_new` when it was made now, else it was left as it is: active, or invited."""

    user_id: UUID
    is_new: bool
    is_invited: bool = False


def make_account(
    session: Session,
    *,
    email: str,
    name: str,
    password_hash: str | None,
    role: str = "user",
    replaces_invited: bool = True,
) -> AddressHolder:
    """Make an account with its event, unless the address has an active one.

    An account of this address that was never activated is replaced, with an event that it is deleted: the latest
    request decides, and earlier links, sent or not, end with the account that they were for. Else a stranger who signs
    an address up first would know the password with which its owner's click opens the account. Without
    `replaces_invited` an invited person's account is left as it is: no stranger's sign-up ends an administrator's
    invitation.

    SECURITY: the same statements run for an address whose account is left as it is, and are rolled back: how long a
    sign-up takes does not show whether its address is known.

    Raises:
        InvalidInputError: the address or the name is not valid.
    """
    email, name = check_person(email=email, name=name)
    fields = {"email": email, "name": name, "password_hash": password_hash, "role": role}
    while True:
        holder = session.fetch_one(_QUERIES["lock_holder"], {"email": email})
        if holder is not None and (holder["is_active"] or (holder["is_invited"] and not replaces_invited)):
            _write(session, fields, replaced=None, is_kept=False)
            return AddressHolder(user_id=holder["id"], is_new=False, is_invited=holder["is_invited"])
        user_id = _write(session, fields, replaced=holder, is_kept=True)
        if user_id is not None:
            return AddressHolder(user_id=user_id, is_new=True)
        # Another request for this address was committed meanwhile, and this one is later.


def delete_inactive(session: Session, *, email: str) -> None:
    """Delete an account of the address that was never activated, if there is one, with its event."""
    holder = session.fetch_one(_QUERIES["lock_holder"], {"email": email})
    if holder is not None and not holder["is_active"]:
        session.execute(_QUERIES["delete"], {"id": holder["id"]})
        emit(session, UserDeleted(sequence=holder["version"] + 1, user_id=holder["id"]))


def _write(session: Session, fields: dict[str, Any], *, replaced: DictRow | None, is_kept: bool) -> UUID | None:
    """Write an account and its events, and keep or undo them; return its id, or None when the address is taken now."""
    user_id = new_id()
    own = {**fields, "id": user_id} | ({} if is_kept else {"email": f"{user_id}@taken.invalid"})
    with session.savepoint() as account:
        if replaced is None:
            row = session.fetch_one(_QUERIES["insert"], own)
        else:
            row = session.fetch_one(_QUERIES["replace"], {**own, "replaced": replaced["id"]})
        if row is None:
            return None
        with session.savepoint() as end:
            ended = replaced or {"id": user_id, "version": 1}
            emit(session, UserDeleted(sequence=ended["version"] + 1, user_id=ended["id"]))
            if replaced is not None:
                end.keep()
        emit(session, UserCreated(sequence=1, user_id=user_id, created_at=row["created_at"]), actor_id=user_id)
        if is_kept:
            account.keep()
    return user_id
