"""Hashes of the audit log: what the hash of a row covers, and that of a checkpoint.

There is one chain for each topic and partition. A row's hash covers the hash of the previous row, the row's place and
the event as it was received, so a row that is changed, removed or inserted needs every later hash and the head
recomputed.

A checkpoint seals a chain whose rows a migration had to rewrite: it holds the head before that, what was wrong already
then, and the head after it. The next row follows the checkpoint in place of the last row.
"""

import hashlib
from datetime import UTC

from psycopg.rows import DictRow

#: The hash before the first row of a chain.
GENESIS = bytes(32)


def hash_of_row(row: DictRow) -> bytes:
    """Hash a row as it is stored."""
    place = (row["topic"], row["partition"], row["position"], row["kafka_offset"])
    key = None if row["key"] is None else bytes(row["key"])
    return hash_of_event(bytes(row["previous_hash"]), place=place, key=key, value=bytes(row["value"]))


def hash_of_event(previous: bytes, *, place: tuple[str, int, int, int], key: bytes | None, value: bytes) -> bytes:
    """Hash an event in its chain: SHA-256 over the previous hash, its place and the event, each with its length.

    The place is topic, partition, position in the chain, and offset in Kafka.
    """
    # A missing key differs from an empty one.
    return _digest(previous, *(str(part).encode() for part in place), b"" if key is None else b"key:" + key, value)


def hash_of_checkpoint(row: DictRow) -> bytes:
    """Hash a checkpoint: its place, both heads, what was wrong, the reason and the time."""
    texts = (row["topic"], row["partition"], row["position"], row["fault"] or "", row["reason"])
    parts = (*(str(part).encode() for part in texts), row["sealed_at"].astimezone(UTC).isoformat().encode())
    return _digest(b"checkpoint", bytes(row["head_hash"]), bytes(row["former_head_hash"]), *parts)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
