"""Sessions of users in Redis: hashed tokens, expiry, listing, ending, and what happens while Redis is down."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from moneyflow.accounts import sessions as user_sessions
from moneyflow.accounts.sessions import Sessions, UserSession
from moneyflow.platform.brokers.redis import connect
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from ops.dev.stack.ports import free_port
from tests.support.servers import RealServers

_ADA, _BOB = new_id(), new_id()


@dataclass
class Clock:
    """A clock of seconds since the epoch that the test drives."""

    seconds: float = 1_900_000_000

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(servers: RealServers, settings: AllSettings, clock: Clock) -> Iterator[Sessions]:
    assert servers.redis.identity(), "it runs"
    sessions = Sessions(settings, clock=clock)
    yield sessions
    sessions.close()


def _start(sessions: Sessions, user_id: object = _ADA) -> tuple[str, UserSession]:
    return sessions.start(user_id=user_id, role="user", client="a test")  # type: ignore[arg-type]


def test_a_session_is_found_by_its_token_and_by_no_other(sessions: Sessions) -> None:
    token, session = _start(sessions)

    assert sessions.find(token) == session
    assert (session.user_id, session.role, session.client) == (str(_ADA), "user", "a test")
    assert session.expires_at - session.created_at == user_sessions.ABSOLUTE_SECONDS
    for wrong in ("", token[:-1], token + "x", token.swapcase(), "x" * 10_000, "\0", session.id):
        assert sessions.find(wrong) is None, wrong


def test_tokens_have_256_bits_and_are_stored_nowhere(sessions: Sessions, settings: AllSettings) -> None:
    tokens = {_start(sessions)[0] for _ in range(20)}

    assert len(tokens) == 20
    assert all(len(token) == 43 for token in tokens)
    with connect(settings) as client:
        names = [name.decode() for name in client.scan_iter(f"*{settings.postgres_db}*")]
        values = [client.dump(name) for name in names]
    assert len(names) > 20
    assert not any(token in name for token in tokens for name in names)
    assert not any(token.encode() in (value or b"") for token in tokens for value in values)


def test_a_use_puts_off_the_idle_expiry_and_not_the_absolute_one(
    sessions: Sessions, settings: AllSettings, clock: Clock
) -> None:
    token, session = _start(sessions)
    with connect(settings) as client:
        (record,) = [name for name in client.scan_iter(f"*{settings.postgres_db}*") if b":user:" not in name]
        client.expire(record, 60)

        assert sessions.find(token) == session
        assert 60 < client.ttl(record) <= user_sessions.IDLE_SECONDS

    clock.seconds = session.expires_at
    assert sessions.find(token) is None
    assert sessions.of_user(_ADA) == []


def test_a_session_that_was_idle_too_long_is_neither_found_nor_listed(
    sessions: Sessions, settings: AllSettings
) -> None:
    token, _ = _start(sessions)
    with connect(settings) as client:
        (record,) = [name for name in client.scan_iter(f"*{settings.postgres_db}*") if b":user:" not in name]
        client.delete(record)  # As Redis does when the time is over.

    assert sessions.find(token) is None
    assert sessions.of_user(_ADA) == []


def test_a_user_lists_and_ends_own_sessions_alone(sessions: Sessions) -> None:
    (mine, first), (other_mine, second), (hers, third) = _start(sessions), _start(sessions), _start(sessions, _BOB)

    assert {session.id for session in sessions.of_user(_ADA)} == {first.id, second.id}
    assert not sessions.end(_ADA, third.id)
    assert sessions.end(_ADA, first.id)
    assert not sessions.end(_ADA, first.id)

    assert [sessions.find(token) is not None for token in (mine, other_mine, hers)] == [False, True, True]


def test_all_sessions_of_a_user_are_ended_at_once(sessions: Sessions) -> None:
    tokens = [_start(sessions)[0] for _ in range(3)]
    hers, _ = _start(sessions, _BOB)

    sessions.end_all(_ADA)
    sessions.end_all(_ADA)

    assert [sessions.find(token) for token in tokens] == [None] * 3
    assert sessions.find(hers) is not None


def test_a_user_has_a_bounded_number_of_sessions_and_the_oldest_are_ended(sessions: Sessions, clock: Clock) -> None:
    tokens = []
    for _ in range(user_sessions.MOST_SESSIONS + 2):
        clock.seconds += 1
        tokens.append(_start(sessions)[0])

    assert len(sessions.of_user(_ADA)) == user_sessions.MOST_SESSIONS
    assert [sessions.find(token) is None for token in tokens[:4]] == [True, True, False, False]


def test_no_session_is_let_through_while_redis_is_down(settings: AllSettings) -> None:
    sessions = Sessions(settings.model_copy(update={"redis_port": free_port()}))

    for ask in (
        lambda: sessions.find("a token"),
        lambda: _start(sessions),
        lambda: sessions.of_user(_ADA),
        lambda: sessions.end_all(_ADA),
        sessions.check,
    ):
        with pytest.raises(UnavailableError, match="Redis, which keeps the sessions, is down"):
            ask()
