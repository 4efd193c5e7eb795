"""Requests under an `Idempotency-Key`: done once, and answered with the first answer for two days."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg.types.json import Jsonb

from moneyflow.platform.database import Session, load_queries
from moneyflow.platform.errors import ConflictError, InvalidInputError

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered: HTTP status, headers, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def once(
    session: Session, *, key: str | None, scope: str, content: bytes, secret_key: str, act: Callable[[], Answer]
) -> Answer:
    """Act and keep the answer in the same transaction; a key that was seen gives the kept answer and does nothing.

    `scope` keeps the keys of different callers and routes apart. Without a key this only acts.

    Raises:
        ConflictError: a request with this key is in work at this moment.
        InvalidInputError: the key came before with another body, or is not 1 to 255 visible ASCII characters.
    """
    if key is None:
        return act()
    if not _KEY.fullmatch(key):
        raise InvalidInputError("Idempotency-Key must be 1 to 255 visible ASCII characters; a UUID is a good one")
    names = {"scope": scope, "key": key}
    row = session.fetch_one(_QUERIES["lock"], names)
    if row is None or not row["held"]:
        raise ConflictError("a request with this Idempotency-Key is in work; repeat it in a moment")
    # SECURITY: keyed, for the body may hold a password, and a plain hash of one could be guessed at leisure.
    body_hash = hmac.new(secret_key.encode(), content, hashlib.sha256).digest()
    kept = session.fetch_one(_QUERIES["find"], names)
    if kept is not None:
        if not hmac.compare_digest(kept["body_hash"], body_hash):
            raise InvalidInputError("this Idempotency-Key came before with another body; use a new key")
        return Answer(status=kept["status"], headers=kept["headers"], body=bytes(kept["body"]))
    answer = act()
    fields = {"status": answer.status, "headers": Jsonb(dict(answer.headers)), "body": answer.body}
    session.execute(_QUERIES["keep"], names | fields | {"body_hash": body_hash})
    return answer
