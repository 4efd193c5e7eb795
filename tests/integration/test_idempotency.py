"""Idempotency: under one key a request is done once, and its first answer is given to all that repeat it."""

from uuid import UUID

import falcon.testing
import pytest

from api.guards import Caller
from api.requests import idempotent
from moneyflow.accounts.sessions import UserSession
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InProgressError, InvalidInputError
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.idempotency import IdempotencyKeys

_KEYS = IdempotencyKeys(secret_key="a key")


def _do(database: Database, *, key: str | None, scope: str = "POST /x", content: bytes = b"{}", says: int) -> Answer:
    """Do a request whose answer says a number, unless it was answered before."""
    once = _KEYS.request(key=key, scope=scope, content=content)
    with database.transaction() as session:
        return once.first_answer(session) or once.keep(
            session, json_answer({"says": says}, status=201, headers={"Location": f"/{says}"})
        )


def test_a_repeated_request_gets_the_first_answer_with_its_status_and_headers(database: Database) -> None:
    first = _do(database, key="k", says=1)

    assert _do(database, key="k", says=2) == first == Answer(
        status=201, headers={"Location": "/1"}, body=b'{"says":1}'
    )  # fmt: skip


def test_another_key_another_scope_and_no_key_are_other_requests(database: Database) -> None:
    _do(database, key="k", says=1)

    assert _do(database, key="other", says=2).body == b'{"says":2}'
    assert _do(database, key="k", scope="POST /x somebody", says=3).body == b'{"says":3}'
    assert _do(database, key=None, says=4).body == b'{"says":4}'
    assert _do(database, key=None, says=5).body == b'{"says":5}'


def test_another_body_under_the_same_key_is_refused(database: Database) -> None:
    _do(database, key="k", says=1)

    with pytest.raises(InvalidInputError, match="another body"):
        _do(database, key="k", content=b'{"a": 1}', says=2)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],"a":1}'),
        (b'{"name": "\\u00c5da"}', '{ "name" : "Åda" }\n'.encode()),
        (b'{"a": {"x": 1, "y": 2}}', b'{"a": {"y": 2, "x": 1}}'),
        (b"no JSON", b"no JSON"),
    ],
)
def test_bodies_that_mean_the_same_are_one_request(database: Database, first: bytes, again: bytes) -> None:
    _do(database, key="k", content=first, says=1)

    assert _do(database, key="k", content=again, says=2).body == b'{"says":1}'


@pytest.mark.parametrize(
    ("first", "again"), [(b'{"a": [1, 2]}', b'{"a": [2, 1]}'), (b'{"a": 1}', b'{"a": "1"}'), (b"text", b"text ")]
)
def test_bodies_that_mean_something_else_are_refused(database: Database, first: bytes, again: bytes) -> None:
    _do(database, key="k", content=first, says=1)

    with pytest.raises(InvalidInputError, match="another body"):
        _do(database, key="k", content=again, says=2)


def test_any_number_of_requests_get_a_known_answer_at_once(database: Database) -> None:
    first = _do(database, key="k", says=1)
    once = _KEYS.request(key="k", scope="POST /x", content=b"{}")

    with database.transaction() as one, database.transaction() as other:
        assert (once.first_answer(one), once.first_answer(other)) == (first, first)


def test_the_same_key_of_another_user_of_a_stranger_and_of_another_route_is_another_key() -> None:
    session = UserSession(id="1", user_id="2", role="user", client="", created_at=0, expires_at=0)

    def scope(path: str, *, user_id: UUID | None) -> str:
        request = falcon.testing.create_req(method="POST", path=path, headers={"Idempotency-Key": "k"})
        request.uri_template = path
        if user_id:
            request.context.caller = Caller(user_id=user_id, session=session, by_cookie=False)
        return idempotent(request, _KEYS, b"{}").scope

    ada, bob = UUID(int=1), UUID(int=2)
    scopes = [scope(path, user_id=user_id) for path in ("/v1/a", "/v1/b") for user_id in (None, ada, bob)]

    assert len(set(scopes)) == 6
    assert scope("/v1/a", user_id=ada) == scopes[1]


def test_a_request_that_failed_keeps_no_answer(database: Database) -> None:
    once = _KEYS.request(key="k", scope="POST /x", content=b"{}")
    with database.transaction() as session:
        once.keep(session, json_answer({"says": 0}))
        session.release()

    assert _do(database, key="k", says=1).body == b'{"says":1}'


def test_a_key_that_another_request_holds_at_this_moment_is_a_conflict(database: Database) -> None:
    once = _KEYS.request(key="k", scope="POST /x", content=b"{}")
    with database.transaction() as session:
        assert once.first_answer(session) is None
        with pytest.raises(InProgressError, match="is running"):
            _do(database, key="k", says=2)


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "a" * 256, "a\n"])
def test_a_key_that_is_not_visible_ascii_is_refused(key: str) -> None:
    with pytest.raises(InvalidInputError, match="1 to 255 visible ASCII"):
        _KEYS.request(key=key, scope="POST /x", content=b"{}")
