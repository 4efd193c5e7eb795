"""Checkpoints: the heads of all chains, signed with a key that the audit role does not have, in the storage.

Who can write the audit log and its heads can cut off the end of a chain, and set its head back. A checkpoint has the
head that was there, so that verification sees it. It is a file of two lines: the heads as JSON, and the HMAC-SHA-256 of
that line by `AUDIT_CHECKPOINT_KEY`.
"""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from moneyflow.gateways.storage import Storage
from moneyflow.gateways.storage.keys import kept_key
from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError, PermanentError
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

_FOLDER = "audit_checkpoints"
_NAME = "%Y%m%dT%H%M%SZ"
#: Bytes of the longest checkpoint that is read; 100,000 chains have less.
_LONGEST = 32 * 2**20


@dataclass(frozen=True, kw_only=True)
class Head:
    """The head of a chain as a checkpoint has it."""

    topic: str
    partition: int
    height: int
    hash: bytes


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The heads of all chains at a moment; its name is that moment in UTC, such as `20261128T001000Z`."""

    name: str
    taken_at: datetime
    heads: tuple[Head, ...]


class CheckpointError(PermanentError):
    """A checkpoint cannot be trusted, or the log does not fit it: someone has to look."""

    title = "Audit checkpoint refused"


def take(session: Session, storage: Storage, keys: Sequence[bytes]) -> Checkpoint:
    """Sign the heads of all chains with the first key, write them to the storage, and return them.

    Raises:
        CheckpointError: a chain is shorter than in the newest checkpoint, or has another head at the same height. A
            signature would hide what the verification finds.
        UnavailableError: the storage is down.
    """
    newest = next(iter(names(storage)[-1:]), None)
    before = read(storage, newest, keys) if newest else None
    now = clock.now().replace(microsecond=0)
    rows = session.fetch_all(_QUERIES["heads"])
    heads = tuple(Head(**{**row, "hash": bytes(row["hash"])}) for row in rows)
    checkpoint = Checkpoint(name=now.strftime(_NAME), taken_at=now, heads=heads)
    if before:
        _check_growth(before, checkpoint)
    storage.write(kept_key(_FOLDER, f"{checkpoint.name}.json"), [_document(checkpoint, keys[0])])
    return checkpoint


def names(storage: Storage) -> list[str]:
    """Return the names of all checkpoints in the storage, the oldest first."""
    return [key.rpartition("/")[2].removesuffix(".json") for key in storage.kept(_FOLDER)]


def read(storage: Storage, name: str, keys: Sequence[bytes]) -> Checkpoint:
    """Read a checkpoint of the storage and check its signature.

    Raises:
        NotFoundError: there is none of this name.
        CheckpointError: no key has signed it as it is.
    """
    try:
        with storage.open(kept_key(_FOLDER, f"{name}.json"), size=_LONGEST) as file:
            content = file.read()
    except (NotFoundError, ValueError):
        raise NotFoundError(f"there is no checkpoint {name}", about="checkpoint") from None
    checkpoint = parse(content, name, keys)
    if checkpoint.name != name:
        raise CheckpointError(f"the checkpoint {name} is a copy of {checkpoint.name}; someone renamed it")
    return checkpoint


def read_since(storage: Storage, keys: Sequence[bytes], *, first: str = "") -> Iterator[Checkpoint]:
    """Read all checkpoints from the one of a name on, the oldest first."""
    yield from (read(storage, name, keys) for name in names(storage) if name >= first)


def parse(content: bytes, name: str, keys: Sequence[bytes]) -> Checkpoint:
    """Return the checkpoint of a file's content, such as of a copy that was kept elsewhere.

    Raises:
        CheckpointError: no key has signed it as it is.
    """
    body, _, signature = content.strip().partition(b"\n")
    if not any(hmac.compare_digest(_signature(body, key), signature) for key in keys):
        raise CheckpointError(
            f"the checkpoint {name} is not signed by AUDIT_CHECKPOINT_KEY: it was changed, or that key was; a former "
            "key follows the new one after a comma"
        )
    return _checkpoint(orjson.loads(body))


def _checkpoint(read: Any) -> Checkpoint:
    taken_at = datetime.fromisoformat(read["taken_at"]).astimezone(UTC)
    heads = tuple(Head(**{**head, "hash": bytes.fromhex(head["hash"])}) for head in read["heads"])
    return Checkpoint(name=taken_at.strftime(_NAME), taken_at=taken_at, heads=heads)


def _document(checkpoint: Checkpoint, key: bytes) -> bytes:
    heads = [{**vars(head), "hash": head.hash.hex()} for head in checkpoint.heads]
    body = orjson.dumps({"taken_at": checkpoint.taken_at.isoformat(), "heads": heads})
    return body + b"\n" + _signature(body, key) + b"\n"


def _signature(body: bytes, key: bytes) -> bytes:
    return hmac.new(key, body, "sha256").hexdigest().encode()


def _check_growth(before: Checkpoint, now: Checkpoint) -> None:
    """Refuse to sign a chain that has lost rows since the checkpoint before."""
    heads = {(head.topic, head.partition): head for head in now.heads}
    for old in before.heads:
        new = heads.get((old.topic, old.partition))
        if new is None or new.height < old.height or (new.height == old.height and new.hash != old.hash):
            height = new.height if new else 0
            raise CheckpointError(
                f"{old.topic} {old.partition} has {height} rows, and had {old.height} with another head at the "
                f"checkpoint {before.name}; verify the log, and see the runbook, audit",
                about="audit_log",
            )
