"""Idempotency: under one key a request is done once, and its first answer is given to all that repeat it."""

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.errors import ConflictError, InvalidInputError
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
        with pytest.raises(ConflictError, match="is running"):
            _do(database, key="k", says=2)


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "a" * 256, "a\n"])
def test_a_key_that_is_not_visible_ascii_is_refused(key: str) -> None:
    with pytest.raises(InvalidInputError, match="1 to 255 visible ASCII"):
        _KEYS.request(key=key, scope="POST /x", content=b"{}")
