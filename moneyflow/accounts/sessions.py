"""Sessions of signed-in users, in Redis: their tokens are stored hashed, and each has an idle and an absolute expiry.

A session is two keys: its record, under the hash of its token, which expires when it is idle; and an entry in the index
of its user, by which sessions are listed and ended. While Redis is down, no session is let through.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, cast
from uuid import UUID

import orjson
import redis

from moneyflow.platform.brokers.redis import PREFIX, ThreadsOwnRedis, connect
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.platform.settings import NotifierSettings

#: OWASP ASVS 5, V7.3: seconds without a request, and in all, after which a person signs in again.
IDLE_SECONDS = 7 * 86_400
ABSOLUTE_SECONDS = 30 * 86_400
#: Sessions that one user may have; the one that expires first is ended for another.
MOST_SESSIONS = 50

_TOKEN_BYTES = 32
#: Characters of the longest token that is hashed; ours have 43.
_LONGEST_TOKEN = 64
_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class UserSession:
    """A session: who signed in, when (seconds since the epoch), by which client, and when it ends whatever happens."""

    id: str
    user_id: str
    role: str
    created_at: int
    expires_at: int
    client: str


class Sessions:
    """The sessions of all users.

    Every method raises UnavailableError when Redis is down.
    """

    def __init__(self, settings: NotifierSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._redis = connect(settings, timeout_seconds=_TIMEOUT_SECONDS)
        self._own = ThreadsOwnRedis(settings, timeout_seconds=_TIMEOUT_SECONDS)
        self._prefix = f"{PREFIX}session:{{{settings.postgres_db}}}"

    def start(self, *, user_id: UUID, role: str, client: str) -> tuple[str, UserSession]:
        """Start a session; return its token, which is shown once and stored nowhere, and the session."""
        now, token = int(self._clock()), secrets.token_urlsafe(_TOKEN_BYTES)
        session = UserSession(
            id=str(new_id()),
            user_id=str(user_id),
            role=role,
            created_at=now,
            expires_at=now + ABSOLUTE_SECONDS,
            client=client,
        )
        index, hashed = self._index(session.user_id), _hash(token)
        with _unavailable(), self._redis.pipeline(transaction=True) as pipe:
            pipe.set(self._record(hashed), orjson.dumps(asdict(session)), ex=IDLE_SECONDS)
            pipe.zremrangebyscore(index, "-inf", now)
            pipe.zadd(index, {hashed: session.expires_at})
            pipe.zrange(index, 0, -MOST_SESSIONS - 1)
            pipe.expire(index, ABSOLUTE_SECONDS)
            surplus = cast("list[bytes]", pipe.execute()[3])
        self._delete(session.user_id, [member.decode() for member in surplus])
        return token, session

    def find(self, token: str) -> UserSession | None:
        """Return the session of a token, and count the request as use; None when it has ended or never was."""
        if len(token) > _LONGEST_TOKEN:
            return None
        with _unavailable():
            found = cast("bytes | None", self._own.client.getex(self._record(_hash(token)), ex=IDLE_SECONDS))
        session = _read(found)
        return session if session and session.expires_at > self._clock() else None

    def of_user(self, user_id: UUID) -> list[UserSession]:
        """Return a user's sessions, the newest first."""
        sessions = [session for _, session in self._stored(str(user_id))]
        return sorted(sessions, key=lambda session: session.created_at, reverse=True)

    def end(self, user_id: UUID, session_id: str) -> bool:
        """End a session of this user; return whether there was one."""
        found = [hashed for hashed, session in self._stored(str(user_id)) if session.id == session_id]
        self._delete(str(user_id), found)
        return bool(found)

    def end_others(self, user_id: UUID, *, kept: str) -> None:
        """End all sessions of a user but one, as when the address changes."""
        ended = [hashed for hashed, session in self._stored(str(user_id)) if session.id != kept]
        self._delete(str(user_id), ended)

    def end_all(self, user_id: UUID) -> None:
        """End all sessions of a user, as when the password changes."""
        with _unavailable():
            members = cast("list[bytes]", self._redis.zrange(self._index(str(user_id)), 0, -1))
        self._delete(str(user_id), [member.decode() for member in members])

    def check(self) -> str | None:
        """Health check: return None, or raise when Redis does not answer."""
        with _unavailable():
            self._redis.ping()
        return None

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _stored(self, user_id: str) -> list[tuple[str, UserSession]]:
        """Return the user's sessions that have not expired, each with the hash of its token."""
        with _unavailable():
            members = cast("list[bytes]", self._redis.zrange(self._index(user_id), 0, -1))
            hashes = [member.decode() for member in members]
            records = cast("list[bytes | None]", self._redis.mget([self._record(h) for h in hashes]) if hashes else [])
        now = self._clock()
        read = ((hashed, _read(record)) for hashed, record in zip(hashes, records, strict=True))
        return [(hashed, session) for hashed, session in read if session and session.expires_at > now]

    def _delete(self, user_id: str, hashes: list[str]) -> None:
        if not hashes:
            return
        with _unavailable(), self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(*(self._record(hashed) for hashed in hashes))
            pipe.zrem(self._index(user_id), *hashes)
            pipe.execute()

    def _record(self, hashed: str) -> str:
        return f"{self._prefix}:{hashed}"

    def _index(self, user_id: str) -> str:
        return f"{self._prefix}:user:{user_id}"


def _hash(token: str) -> str:
    # SECURITY: a token has 256 random bits, so a plain hash cannot be guessed; who reads Redis cannot act as anybody.
    return hashlib.sha256(token.encode()).hexdigest()


def _read(record: bytes | None) -> UserSession | None:
    if record is None:
        return None
    fields: dict[str, Any] = orjson.loads(record)
    return UserSession(**fields)


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise UnavailableError(f"Redis, which keeps the sessions, is down: {error}; retry later") from error
