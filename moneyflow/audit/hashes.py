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
    """Hash a row: SHA-256 over the previous hash, its place and the event as received, each with its length."""
    place = (row["topic"], row["partition"], row["position"], row["kafka_offset"])
    # A missing key differs from an empty one.
    key = b"" if row["key"] is None else b"key:" + bytes(row["key"])
    return _digest(bytes(row["previous_hash"]), *(str(part).encode() for part in place), key, bytes(row["value"]))


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
