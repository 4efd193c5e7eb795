"""Verification: walks each hash chain to its head, and names the first bad row of each.

It begins at the first row, or after the heads of a checkpoint. The heads of every checkpoint since then must be in
their chains.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.rows import DictRow

from moneyflow.audit.checkpoints import Checkpoint
from moneyflow.audit.columns import agree
from moneyflow.audit.faults import Link, Row, fault_at_end, fault_of_row, fault_of_seal
from moneyflow.audit.hashes import GENESIS, row_hash_of
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Rows that are read at once; about a megabyte.
_PAGE = 1000

#: The heads of a chain by their position, each with the name of its checkpoint.
_Heads = Mapping[int, Sequence[tuple[str, bytes]]]
_Page = Sequence[tuple[Any, ...]]
#: Called with the number of rows that were read since the last call.
Report = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A verified chain: how many rows were read; `fault` names its first bad row, or is None."""

    topic: str
    partition: int
    rows: int
    fault: str | None


def count_rows(session: Session, *, since: Checkpoint | None = None) -> int:
    """Return how many rows the heads have after those of a checkpoint, for progress."""
    heights: int = sum(row["height"] for row in session.fetch_all(_QUERIES["chains"], _NONE))
    return max(heights - (sum(head.height for head in since.heads) if since else 0), 0)


def verify(
    session: Session,
    *,
    checkpoints: Sequence[Checkpoint] = (),
    since: Checkpoint | None = None,
    report: Report = lambda _: None,
) -> Iterator[Chain]:
    """Verify every chain and yield each result.

    `checkpoints` are those whose heads must be in the chains. With `since`, one of them, only the rows after its heads
    are read.
    """
    session.execute("set local statement_timeout = 0")
    heads: dict[tuple[str, int], dict[int, list[tuple[str, bytes]]]] = {}
    for checkpoint in checkpoints:
        for head in checkpoint.heads:
            of_chain = heads.setdefault((head.topic, head.partition), {})
            of_chain.setdefault(head.height, []).append((checkpoint.name, head.hash))
    begins = {(head.topic, head.partition): (head.height, head.hash) for head in since.heads} if since else {}
    chains = {(row["topic"], row["partition"]): row for row in session.fetch_all(_QUERIES["chains"], _NONE)}
    for place in sorted(chains.keys() | heads.keys()):
        chain = chains.get(place) or _missing(*place)
        position, previous = begins.get(place, (0, GENESIS))
        yield _Walk(session, chain, heads.get(place, {}), position, previous).run(report)


_NONE = {"genesis": GENESIS}


def _missing(topic: str, partition: int) -> DictRow:
    return {"topic": topic, "partition": partition, "height": 0, "head_hash": GENESIS, "next_offset": None}


class _Walk:
    """One chain, from the row after a position on."""

    def __init__(self, session: Session, chain: DictRow, heads: _Heads, position: int, previous: bytes) -> None:
        self._session, self._chain, self._heads = session, chain, heads
        self._place = {"topic": chain["topic"], "partition": chain["partition"]}
        self._row_hash = row_hash_of(**self._place)
        self._begin = position
        self._link = Link(position + 1, previous, None)
        #: What is wrong at the last row that was followed: it does not fit its seal, or a checkpoint.
        self._fault_of_last: str | None = None
        self._seals = {row["position"]: row for row in session.fetch_all(_QUERIES["seals"], self._place)}

    def run(self, report: Report) -> Chain:
        """Read the rows and return what was found."""
        fault = self._fault_at_begin() or self._fault_of_rows(report) or self._fault_at_end()
        sealed = [f"{row['fault']}, before the seal there" for row in self._seals.values() if row["fault"]]
        faults = [*sealed, *([fault] if fault else [])]
        return Chain(**self._place, rows=self._link.expected - 1 - self._begin, fault="; ".join(faults) or None)

    def _fault_at_begin(self) -> str | None:
        """Return what is wrong where the walk begins; a seal may have followed the checkpoint there."""
        if self._chain["height"] < self._begin:
            return self._cut_off(self._chain["height"] + 1, self._begin)
        seal = self._seals.get(self._begin)
        if seal is None or self._link.previous == bytes(seal["hash"]):
            return None
        fault = fault_of_seal(seal, last=self._link.previous)
        self._link = self._link._replace(previous=bytes(seal["hash"]))
        return fault

    def _fault_of_rows(self, report: Report) -> str | None:
        after = self._begin or -(2**63)
        with closing(self._session.pages(_QUERIES["rows"], {**self._place, "after": after}, rows=_PAGE)) as pages:
            for page in pages:
                bad = self._follow(page)
                if self._fault_of_last:
                    return self._fault_of_last
                if bad is not None:
                    return self._named(page[bad], [*page[bad + 1 :], *next(pages, ())])
                report(len(page))
        return None

    def _follow(self, page: _Page) -> int | None:
        """Follow the rows of a page, and return the index of the first that does not follow the one before it."""
        # PERF: local names, and one comparison for each row; what is wrong with one that differs is found out then.
        row_hash, height, stops = self._row_hash, self._chain["height"], self._seals.keys() | self._heads
        expected, previous, before = self._link
        bad = None
        for at, row in enumerate(page):
            position, offset, key, value, claimed, its_hash = row[:6]
            if (
                position != expected or claimed != previous or position > height
                or row_hash(claimed, position, offset, key, value) != its_hash or not agree(value, row[6:])
            ):  # fmt: skip
                bad = at
                break
            expected, before, previous = expected + 1, previous, its_hash
            if position in stops:
                self._fault_of_last, previous = self._fault_of_stop(position, its_hash)
                if self._fault_of_last:
                    break
        self._link = Link(expected, previous, before)
        return bad

    def _named(self, row: tuple[Any, ...], later: _Page) -> str:
        """Return what is wrong with a row, by those after it."""
        bad = Row(*row)
        intact = self._row_hash(bad.previous_hash, bad.position, bad.kafka_offset, bad.key, bad.value) == bad.hash
        following = Row(*later[0]) if later else None
        return fault_of_row(bad, following, self._link, intact=intact, height=self._chain["height"])

    def _fault_of_stop(self, position: int, last: bytes) -> tuple[str | None, bytes]:
        """Return what is wrong at a seal or the head of a checkpoint, and the hash that the next row follows."""
        fault, previous = None, last
        if seal := self._seals.get(position):
            fault, previous = fault_of_seal(seal, last=last), bytes(seal["hash"])
        for name, head in self._heads.get(position, ()):
            if head not in {last, previous}:
                fault = fault or f"position {position} differs from the checkpoint {name}: it or rows before it changed"
        return fault, previous

    def _fault_at_end(self) -> str | None:
        """Return what is wrong at the end; a checkpoint may have a head that is further."""
        if fault := fault_at_end(self._chain, self._link):
            return fault
        beyond = max((at for at in self._heads if at >= self._link.expected), default=None)
        return None if beyond is None else self._cut_off(self._link.expected, beyond)

    def _cut_off(self, first: int, last: int) -> str:
        name, _ = self._heads[last][0]
        removed = f"position {first} was" if first == last else f"positions {first} to {last} were"
        return f"{removed} removed: the checkpoint {name} has the head at {last}"
