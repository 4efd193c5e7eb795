"""Idempotency: a request under an `Idempotency-Key` is done once and answered with its first answer for two days.

In the transaction of the request's effects::

    once = keys.request(key=…, scope="POST /v1/users", content=content)
    with database.transaction() as session:
        answer = once.first_answer(session)
        if answer is None:
            job_id = users.sign_up(session, …)
            answer = once.keep(session, json_answer({"job_id": str(job_id)}, status=202))
"""

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from psycopg.types.json import Jsonb

from moneyflow.platform.database import Session
from moneyflow.platform.errors import ConflictError, InvalidInputError
from moneyflow.platform.http.answers import Answer
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
_KEY = Pattern(r"[\x21-\x7e]{1,255}", longest=255)


@dataclass(frozen=True, kw_only=True)
class IdempotentRequest:
    """A request and its key; without a key nothing is looked up and nothing kept."""

    scope: str
    key: str | None
    body_hash: bytes

    def first_answer(self, session: Session) -> Answer | None:
        """Return the answer that was given before, or None: then act, and keep the answer in the same transaction.

        Raises:
            ConflictError: another request with this key is running.
            InvalidInputError: the key was used before with another body.
        """
        if self.key is None:
            return None
        names = {"scope": self.scope, "key": self.key}
        row = session.fetch_one(_QUERIES["lock"], names)
        if row is None or not row["held"]:
            raise ConflictError("a request with this Idempotency-Key is running; repeat it in a second")
        kept = session.fetch_one(_QUERIES["find"], names)
        if kept is None:
            return None
        if not hmac.compare_digest(kept["body_hash"], self.body_hash):
            raise InvalidInputError("this Idempotency-Key was used with another body; send a new key")
        return Answer(status=kept["status"], headers=kept["headers"], body=bytes(kept["body"]))

    def keep(self, session: Session, answer: Answer) -> Answer:
        """Keep the first answer for requests that repeat this one, and return it."""
        if self.key is not None:
            fields = {"status": answer.status, "headers": Jsonb(dict(answer.headers)), "body": answer.body}
            names = {"scope": self.scope, "key": self.key, "body_hash": self.body_hash}
            session.execute(_QUERIES["keep"], {**names, **fields})
        return answer


class IdempotencyKeys:
    """Reads the keys of requests; the secret key protects what it stores of their bodies."""

    def __init__(self, *, secret_key: str) -> None:
        self._secret_key = secret_key.encode()

    def request(self, *, key: str | None, scope: str, content: bytes) -> IdempotentRequest:
        """Return the request; `scope` keeps the keys of different callers and routes apart.

        Raises:
            InvalidInputError: the key is not 1 to 255 visible ASCII characters.
        """
        if key is None:
            return IdempotentRequest(scope=scope, key=None, body_hash=b"")
        if not _KEY.fullmatch(key):
            raise InvalidInputError("Idempotency-Key must be 1 to 255 visible ASCII characters; send a UUID")
        # SECURITY: keyed, because the body may hold a password, and a plain hash of it could be guessed offline.
        body_hash = hmac.new(self._secret_key, content, hashlib.sha256).digest()
        return IdempotentRequest(scope=scope, key=key, body_hash=body_hash)
