"""Names and addresses leave the stored events: a checkpoint seals each chain that had some, and a new one starts.

Rows cannot lose a part and keep their hashes. So the chain is verified as it is, its rows are hashed again without
that part, and its checkpoint keeps the former head and what the verification found. The next row follows the
checkpoint.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from alembic import context, op
from sqlalchemy import Connection

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_GENESIS = bytes(32)
_PAGE = 1000
_REASON = "names and addresses of people were removed from the events before this checkpoint"
_PERSONAL = frozenset({"name", "email"})

_TABLE = """
create table audit.checkpoints (
    topic text not null,
    partition integer not null,
    position bigint not null,
    head_hash bytea not null,
    former_head_hash bytea not null,
    fault text,
    reason text not null,
    sealed_at timestamptz not null,
    hash bytea not null,
    primary key (topic, partition, position)
);
create trigger refuse_truncate before truncate on audit.checkpoints execute function audit.refuse_truncate();
grant select on audit.checkpoints to {audit}, {owner};
"""

_CHAINS = """
select topic, partition, height, head_hash from audit.chains chain
where exists (
    select from audit.events event
    where event.topic = chain.topic and event.partition = chain.partition and event.type = 'user.created'
      and (position('"email"'::bytea in value) > 0 or position('"name"'::bytea in value) > 0))
"""
_ROWS = """
select position, kafka_offset, key, value, previous_hash, hash from audit.events
where topic = %(topic)s and partition = %(partition)s and position > %(after)s order by position limit %(limit)s
"""
_REWRITE = """
update audit.events set value = %(value)s, previous_hash = %(previous_hash)s, hash = %(hash)s
where topic = %(topic)s and partition = %(partition)s and position = %(position)s
"""
_MOVE_HEAD = """
update audit.chains set head_hash = %(head_hash)s where topic = %(topic)s and partition = %(partition)s
"""
_SEAL = """
insert into audit.checkpoints
    (topic, partition, position, head_hash, former_head_hash, fault, reason, sealed_at, hash)
values (%(topic)s, %(partition)s, %(position)s, %(head_hash)s, %(former_head_hash)s, %(fault)s, %(reason)s,
        %(sealed_at)s, %(hash)s)
"""
_UNPUBLISHED = """
select sequence, value from outbox_events
where position('"user.created"'::bytea in value) > 0
  and (position('"email"'::bytea in value) > 0 or position('"name"'::bytea in value) > 0)
for update
"""

Row = dict[str, Any]


def upgrade() -> None:
    """Remove what is personal from the outbox and from the log, whose role cannot add to it meanwhile."""
    roles = context.config.attributes["roles"]
    connection = op.get_bind()
    for row in _fetch(connection, _UNPUBLISHED):
        value = _without_personal_data(bytes(row["value"]))
        statement = "update outbox_events set value = %(value)s where sequence = %(sequence)s"
        connection.exec_driver_sql(statement, {"value": value, "sequence": row["sequence"]})
    op.execute(f"set local role {roles['audit_owner']}")
    op.execute(_TABLE.format(**roles))
    op.execute("lock table audit.chains, audit.events in share row exclusive mode")
    for chain in _fetch(connection, _CHAINS):
        _seal(connection, chain)
    op.execute("reset role")


def downgrade() -> None:
    """Chain each row to the one before it again, without the checkpoints; what was removed stays removed."""
    roles = context.config.attributes["roles"]
    connection = op.get_bind()
    op.execute(f"set local role {roles['audit_owner']}")
    op.execute("lock table audit.chains, audit.events in share row exclusive mode")
    sealed = "select distinct chains.* from audit.chains join audit.checkpoints using (topic, partition)"
    for chain in _fetch(connection, sealed):
        previous, _ = _chain_again(connection, chain)
        connection.exec_driver_sql(_MOVE_HEAD, {**chain, "head_hash": previous})
    op.execute("drop table audit.checkpoints")
    op.execute("reset role")


def _seal(connection: Connection, chain: Row) -> None:
    head, fault = _chain_again(connection, chain)
    checkpoint: Row = {
        "topic": chain["topic"],
        "partition": chain["partition"],
        "position": chain["height"],
        "head_hash": head,
        "former_head_hash": bytes(chain["head_hash"]),
        "fault": fault,
        "reason": _REASON,
        "sealed_at": datetime.now(UTC),
    }
    checkpoint["hash"] = _hash_of_checkpoint(checkpoint)
    connection.exec_driver_sql(_SEAL, checkpoint)
    connection.exec_driver_sql(_MOVE_HEAD, {**chain, "head_hash": checkpoint["hash"]})


def _chain_again(connection: Connection, chain: Row) -> tuple[bytes, str | None]:
    """Hash a chain's rows again, without personal data; return the last hash, and the first fault of the old chain."""
    place = {"topic": chain["topic"], "partition": chain["partition"]}
    fault, expected, old, new = None, 1, _GENESIS, _GENESIS
    for page in _pages(connection, place):
        changed = []
        for row in page:
            follows = row["position"] == expected and row["previous_hash"] == old and row["hash"] == _hash(row)
            fault = fault or (None if follows else f"position {expected} was changed, removed or inserted")
            expected, old = row["position"] + 1, row["hash"]
            if not 1 <= row["position"] <= chain["height"]:
                continue  # Inserted outside of the chain: it stays for the verification to find.
            after = {**row, "value": _without_personal_data(row["value"]), "previous_hash": new}
            new = after["hash"] = _hash(after)
            if after != row:
                changed.append(after)
        if changed:
            connection.exec_driver_sql(_REWRITE, changed)
    if fault is None and (expected - 1 != chain["height"] or old != bytes(chain["head_hash"])):
        fault = f"position {expected - 1} did not fit the head"
    return new, fault


def _pages(connection: Connection, place: Row) -> Iterator[list[Row]]:
    after = -(2**63)
    while found := _fetch(connection, _ROWS, {**place, "after": after, "limit": _PAGE}):
        binary = ("value", "previous_hash", "hash")
        yield [
            {**row, **place, **{name: bytes(row[name]) for name in binary}, "key": row["key"] and bytes(row["key"])}
            for row in found
        ]
        after = found[-1]["position"]


def _fetch(connection: Connection, statement: str, parameters: Row | None = None) -> list[Row]:
    return [dict(row) for row in connection.exec_driver_sql(statement, parameters or {}).mappings()]


def _without_personal_data(value: bytes) -> bytes:
    """Return an event without a name and an address in its data, else as it is."""
    try:
        event = json.loads(value)
    except ValueError:
        return value
    data = event.get("data") if isinstance(event, dict) and event.get("type") == "user.created" else None
    if not isinstance(data, dict) or not _PERSONAL & data.keys():
        return value
    event["data"] = {name: field for name, field in data.items() if name not in _PERSONAL}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _hash(row: Mapping[str, Any]) -> bytes:
    """Hash a row as the audit log does: the previous hash, its place and the event, each with its length."""
    place = (row["topic"], row["partition"], row["position"], row["kafka_offset"])
    key = b"" if row["key"] is None else b"key:" + row["key"]
    return _digest(row["previous_hash"], *(str(part).encode() for part in place), key, row["value"])


def _hash_of_checkpoint(row: Mapping[str, Any]) -> bytes:
    """Hash a checkpoint as the audit log does."""
    texts = (row["topic"], row["partition"], row["position"], row["fault"] or "", row["reason"])
    parts = (*(str(part).encode() for part in texts), row["sealed_at"].isoformat().encode())
    return _digest(b"checkpoint", row["head_hash"], row["former_head_hash"], *parts)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
