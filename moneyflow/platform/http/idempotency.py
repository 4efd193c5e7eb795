"""Idempotency: a request under an `Idempotency-Key` is done once and answered with its first answer for two days.

In the transaction of the request's effects::

    once = keys.request(key=…, scope="POST /v1/users", content=content)  # The scope names a user who is signed in, too.
    with database.transaction() as session:
        answer = once.first_answer(session)
        if answer is None:
            job_id = users.sign_up(session, …)
            answer = once.keep(session, json_answer({"job_id": str(job_id)}, status=202))

Or, where one statement does it all, in one round trip: the statement includes the fragment `first_request`, acts on its
row, and ends with `outcome`::

    earlier = once.run(session, _QUERIES["create"], parameters, answer=answer)
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import orjson
from psycopg.types.json import Jsonb

from moneyflow.platform.database import Session
from moneyflow.platform.errors import InProgressError, InvalidInputError
from moneyflow.platform.http.answers import Answer
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
#: SQL of statements that do a whole request.
FRAGMENTS = Path(__file__).with_name("fragments.sql")

_KEY = Pattern(r"[\x21-\x7e]{1,255}", longest=255)


@dataclass(frozen=True, kw_only=True)
class IdempotentRequest:
    """A request and the hash of its key; without a key nothing is looked up and nothing kept."""

    scope: str
    key: str | None
    body_hash: bytes

    def first_answer(self, session: Session) -> Answer | None:
        """Return the answer that was given before, or None: then act, and keep the answer in the same transaction.

        Raises:
            InProgressError: another request with this key is running.
            InvalidInputError: the key was used before with another body.
        """
        if self.key is None:
            return None
        kept = self.known_answer(session)
        if kept is not None:
            return kept
        row = session.fetch_one(_QUERIES["lock"], {"scope": self.scope, "key": self.key})
        if row is None or not row["held"]:
            raise _in_progress()
        return self.known_answer(session)  # The other request may have been committed meanwhile.

    def known_answer(self, session: Session) -> Answer | None:
        """Return the answer that was given before, or None; it locks nothing, so any number may ask at once.

        Raises:
            InvalidInputError: the key was used before with another body.
        """
        if self.key is None:
            return None
        kept = session.fetch_one(_QUERIES["find"], {"scope": self.scope, "key": self.key})
        if kept is None:
            return None
        if not hmac.compare_digest(kept["body_hash"], self.body_hash):
            raise InvalidInputError("this Idempotency-Key was used with another body; send a new key")
        return Answer(status=kept["status"], headers=kept["headers"], body=bytes(kept["body"]))

    def keep(self, session: Session, answer: Answer) -> Answer:
        """Keep the first answer for requests that repeat this one, and return it."""
        if self.key is not None:
            session.execute(_QUERIES["keep"], self._row(answer))
        return answer

    def run(
        self, session: Session, query: LiteralString, parameters: Mapping[str, Any], *, answer: Answer
    ) -> Answer | None:
        """Run a statement that does the whole request and keeps its answer; return an earlier answer, or None.

        With an earlier answer the statement did nothing.

        Raises:
            InProgressError: another request with this key is running.
            InvalidInputError: the key was used before with another body.
        """
        row = session.fetch_one(query, {**parameters, **self._row(answer)})
        assert row is not None, "the fragment `outcome` is one row"
        if row["is_first"]:
            return None
        earlier = self.known_answer(session) if row["is_held"] else None
        if earlier is None:
            raise _in_progress()
        return earlier

    def _row(self, answer: Answer) -> dict[str, Any]:
        names = {"scope": self.scope, "key": self.key, "body_hash": self.body_hash}
        return {**names, "status": answer.status, "headers": Jsonb(dict(answer.headers)), "body": answer.body}


#: For what is no request, such as a job that uses the same statement.
WITHOUT_KEY = IdempotentRequest(scope="", key=None, body_hash=b"")


def _in_progress() -> InProgressError:
    return InProgressError("a request with this Idempotency-Key is running; repeat it in a second")


class IdempotencyKeys:
    """Reads the keys of requests; the secret key protects what it stores of their bodies."""

    def __init__(self, *, secret_key: str) -> None:
        self._secret_key = secret_key.encode()

    def request(self, *, key: str | None, scope: str, content: bytes) -> IdempotentRequest:
        """Return the request; `scope` keeps the keys of different callers and routes apart.

        Bodies in JSON are the same when they mean the same, whatever the order of their members and the white space.

        Raises:
            InvalidInputError: the key is not 1 to 255 visible ASCII characters.
        """
        if key is None:
            return IdempotentRequest(scope=scope, key=None, body_hash=b"")
        if not _KEY.fullmatch(key):
            raise InvalidInputError("Idempotency-Key must be 1 to 255 visible ASCII characters; send a UUID")
        # SECURITY: keyed, because the body may hold a password, and a plain hash of it could be guessed offline. A key
        # may be made of an address, and anonymous callers share their keys: it is stored as a hash, too.
        body_hash = self._hash(_canonical(content))
        return IdempotentRequest(scope=scope, key=self._hash(key.encode()).hex(), body_hash=body_hash)

    def _hash(self, content: bytes) -> bytes:
        return hmac.new(self._secret_key, content, hashlib.sha256).digest()


def _canonical(content: bytes) -> bytes:
    """Return JSON in one form for all that mean the same; what is no JSON as it is."""
    try:
        return orjson.dumps(orjson.loads(content), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        return content
