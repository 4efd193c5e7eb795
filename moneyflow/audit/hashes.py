"""Hashes of the audit log: what the hash of a row covers, and that of a seal.

There is one chain for each topic and partition. A row's hash covers the hash of the previous row, the row's place and
the event as it was received, so a row that is changed, removed or inserted needs every later hash and the head
recomputed.

A seal closes a chain whose rows a migration had to rewrite: it holds the head before that, what was wrong already then,
and the head after it. The next row follows the seal in place of the last row.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC

from psycopg.rows import DictRow

_HASH_BYTES = 32
#: The hash before the first row of a chain.
GENESIS = bytes(_HASH_BYTES)
#: The lengths of usual parts, as they precede them.
_LENGTHS = tuple(length.to_bytes(8, "big") for length in range(4096))

#: Returns a row's hash by the previous hash, the position, the offset in Kafka, the key and the value.
RowHash = Callable[[bytes, int, int, bytes | None, bytes], bytes]


def row_hash_of(topic: str, partition: int) -> RowHash:
    """Return what hashes the rows of a chain: SHA-256 over the previous hash, its place and the event as received.

    Each part has its length before it, in eight bytes.
    """
    place = _prefixed(topic.encode()) + _prefixed(str(partition).encode())
    sha256, lengths, usual, unkeyed = hashlib.sha256, _LENGTHS, len(_LENGTHS), _LENGTHS[0]

    def row_hash(previous: bytes, position: int, offset: int, key: bytes | None, value: bytes) -> bytes:
        # PERF: one buffer for one call, and no loop; verification spends its time here.
        at, read, size = b"%d" % position, b"%d" % offset, len(value)
        length = lengths[size] if size < usual else size.to_bytes(8, "big")
        # A missing key differs from an empty one.
        marked = unkeyed if key is None else (len(key) + 4).to_bytes(8, "big") + b"key:" + key
        before = lengths[_HASH_BYTES] if len(previous) == _HASH_BYTES else len(previous).to_bytes(8, "big")
        parts = (before, previous, place, lengths[len(at)], at, lengths[len(read)], read, marked, length, value)
        return sha256(b"".join(parts)).digest()

    return row_hash


def hash_of_seal(row: DictRow) -> bytes:
    """Hash a seal: its place, both heads, what was wrong, the reason and the time."""
    texts = (row["topic"], row["partition"], row["position"], row["fault"] or "", row["reason"])
    parts = (*(str(part).encode() for part in texts), row["sealed_at"].astimezone(UTC).isoformat().encode())
    # A checkpoint was the seal's name once.
    hashed = (b"checkpoint", bytes(row["head_hash"]), bytes(row["former_head_hash"]), *parts)
    return hashlib.sha256(b"".join(map(_prefixed, hashed))).digest()


def _prefixed(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part
