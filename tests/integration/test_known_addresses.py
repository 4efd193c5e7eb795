"""Known and unknown addresses take the same work: the same statements, jobs and hashes, and the same answer."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pytest

from moneyflow.accounts.new_accounts import make_account
from moneyflow.accounts.passwords import Passwords
from moneyflow.platform.connections import PooledConnection
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.api import PASSWORD, Api, served
from tests.support.servers import RealServers
from workers.testing import new_mailbox, run_jobs

T = TypeVar("T")

_KNOWN, _INACTIVE, _UNKNOWN = "ada@mail.example", "new@mail.example", "eve@mail.example"
_INVITED = "bob@mail.example"


@dataclass
class Work:
    """The work of one request: the statements that it ran, and how many passwords it hashed or compared."""

    statements: list[str] = field(default_factory=list)
    hashes: int = 0


class CountedPasswords(Passwords):
    """Passwords that count what they hash and compare."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def hash(self, password: str) -> str:
        self._work.hashes += 1
        return super().hash(password)

    def is_correct(self, password: str, *, encoded: str | None) -> bool:
        self._work.hashes += 1
        return super().is_correct(password, encoded=encoded)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Return the work of this process; an end of a savepoint counts as one whether it is kept or not."""
    work, execute = Work(), PooledConnection.execute

    def recorded(connection: PooledConnection, query: str, *rest: object, **options: object) -> object:
        if query and "pg_advisory_unlock_all" not in query:  # The pool's own: it looks after idle connections.
            work.statements.append(re.sub(r"^(release|rollback to) savepoint", "end savepoint", query))
        return execute(connection, query, *rest, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(PooledConnection, "execute", recorded)
    return work


@pytest.fixture
def api(servers: RealServers, settings: AllSettings, database: Database, work: Work) -> Iterator[Api]:
    assert servers.redis.identity(), "it runs"
    with served(settings, database, passwords=CountedPasswords(work)) as api:
        api.signed_up(_KNOWN)
        api.call("POST", "/v1/users", {"email": _INACTIVE, "name": "Noa", "password": PASSWORD})
        with database.transaction() as session:
            make_account(session, email=_INVITED, name="Bob", password_hash=None)
        _run_mails(database)
        yield api


def _run_mails(database: Database) -> list[dict[str, object] | None]:
    with database.transaction() as session:
        return [ran.result for ran in run_jobs(session, kinds=["send_email"], gateways=[new_mailbox()])]


def _measured(work: Work, act: Callable[[], T]) -> tuple[Work, T]:
    """Return what an act adds to the work, and what it returns."""
    work.statements.clear()
    work.hashes = 0
    result = act()
    return Work(statements=list(work.statements), hashes=work.hashes), result


def _body(route: str, email: str) -> dict[str, str]:
    if route == "/v1/users":
        return {"email": email, "name": "A stranger", "password": "another horse battery"}
    return {"email": email, "password": "another horse battery"} if route == "/v1/sessions" else {"email": email}


_ROUTES = [
    ("/v1/users", (_KNOWN, _INVITED, _UNKNOWN)),
    ("/v1/sessions", (_KNOWN, _INACTIVE, _INVITED, _UNKNOWN)),
    ("/v1/password-resets", (_KNOWN, _INACTIVE, _UNKNOWN)),
    ("/v1/users/activation/resend", (_KNOWN, _INACTIVE, _UNKNOWN)),
]


@pytest.mark.parametrize(("route", "emails"), _ROUTES, ids=[route for route, _ in _ROUTES])
def test_a_request_does_the_same_whether_or_not_the_address_is_known(
    api: Api, work: Work, route: str, emails: tuple[str, ...]
) -> None:
    measured = [_measured(work, partial(api.call, "POST", route, _body(route, email))) for email in emails]

    done, answers = [one for one, _ in measured], [answer for _, answer in measured]
    assert all(one == done[0] for one in done), done
    assert done[0].statements
    varying = {"location", "x-request-id", "ratelimit-remaining", "ratelimit-reset"}
    for answer in answers:
        assert (answer.status_code, answer.json.keys()) == (answers[0].status_code, answers[0].json.keys())
        assert answer.headers.keys() == answers[0].headers.keys()
        assert {k: v for k, v in answer.headers.items() if k not in varying} == {
            k: v for k, v in answers[0].headers.items() if k not in varying
        }
    assert len({answer.headers.get("location", number) for number, answer in enumerate(answers)}) == len(answers)


def test_a_sign_up_that_replaces_an_account_runs_as_many_statements_as_any_other(api: Api, work: Work) -> None:
    replacing, new = (
        _measured(work, partial(api.call, "POST", "/v1/users", _body("/v1/users", email)))[0]
        for email in (_INACTIVE, _UNKNOWN)
    )

    assert (len(replacing.statements), replacing.hashes) == (len(new.statements), new.hashes)


def test_the_mail_of_a_sign_up_takes_as_many_statements_whether_or_not_the_address_is_known(
    api: Api, work: Work, database: Database
) -> None:
    done = []
    for email in (_KNOWN, _INVITED, _UNKNOWN):
        api.call("POST", "/v1/users", _body("/v1/users", email))
        mails, results = _measured(work, partial(_run_mails, database))
        done.append(mails)
        assert results == [{"sent": True}]

    assert len({len(one.statements) for one in done}) == 1
