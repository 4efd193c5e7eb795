"""Loaded by `schemathesis run`: every request is of a new person, so that none is left without a session."""

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import schemathesis
from hypothesis import strategies as st

from moneyflow.accounts.names import person_name
from moneyflow.accounts.passwords import Passwords
from moneyflow.accounts.sessions import Sessions
from moneyflow.gateways.mail.addresses import normalized_address
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import load_all

_SETTINGS = load_all(dict(os.environ))
_SESSIONS = Sessions(_SETTINGS)
_DATABASE = Database(_SETTINGS.conninfo("app", application_name="schemathesis"), size=4)
_DATABASE.open()
#: Of the password in the document's example, so that the example changes it.
_HASH = Passwords().hash("correct horse battery")
_INSERT = """
insert into users (id, email, name, password_hash, role, activated_at)
values (%(id)s, %(email)s, 'Ada Lovelace', %(password_hash)s, 'administrator', now())
"""
#: The id in every example, and what is there in its place.
_EXAMPLE = "0198f0a2-7c1e-7d3a-9b55-0c6a1f0e7d11"
_LONGEST_WAIT_SECONDS = 20
_LONGEST_QUERY = 3_500
_STORED = {f"{name}_id": os.environ[f"{name.upper()}_ID"] for name in ("job", "batch", "file")}


@schemathesis.auth(refresh_interval=None)
class NewPerson:
    """Signs in by a bearer token, as an administrator, who may do all."""

    def get(self, _case: Any, _context: Any) -> str:
        user_id = new_id()
        with _DATABASE.transaction() as session:
            session.execute(_INSERT, {"id": user_id, "email": f"{user_id}@mail.example", "password_hash": _HASH})
        token, _ = _SESSIONS.start(user_id=user_id, role="administrator", client="schemathesis")
        return token

    def set(self, case: Any, token: str, _context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Read what is stored where the request has the id of the examples; no worker runs, so wait for none."""
    for name, stored in _STORED.items():
        if (case.path_parameters or {}).get(name) == _EXAMPLE:
            case.path_parameters[name] = stored
    wait = str((case.query or {}).get("wait"))
    if wait.isdecimal() and int(wait) <= _LONGEST_WAIT_SECONDS:
        case.query["wait"] = 0


@schemathesis.hook
def filter_query(_context: Any, query: Any) -> bool:
    """Leave out what is too long for a first line: it is refused before any route (`test_refused_requests.py`)."""
    return len(urlencode(query or {}, doseq=True, errors="replace")) < _LONGEST_QUERY


def _fits(check: Callable[[str], str]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            check(text)
        except ValueError:
            return False
        return True

    return fits


schemathesis.openapi.format("email", st.emails().filter(_fits(normalized_address)))
schemathesis.openapi.format("person-name", st.text(min_size=1, max_size=100).filter(_fits(person_name)))
