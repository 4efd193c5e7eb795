"""Analytics store: keeps the last state of each transaction, and changes sums and counts by what is new.

Batches share a lock. Two of them never have the same transaction, because a partition has one writer. Erasure and the
pages of a rebuild write alone: so no batch that began before an erasure leaves a row of the person after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg.rows import DictRow

from moneyflow.analytics.changes import Changes, Fact, columns, token_of
from moneyflow.platform.database import Session
from moneyflow.platform.queries import array, load_queries

#: SQL that a rebuild shares.
FRAGMENTS = Path(__file__).with_name("fragments.sql")
_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: The key of the advisory lock that batches share.
_LOCK = 19_784


@dataclass(frozen=True, kw_only=True)
class Generations:
    """The generations to write: of the rows about money, and of those about people."""

    money: Sequence[int]
    people: Sequence[int]


def apply(session: Session, changes: Changes) -> int:
    """Write changes to the current generation and the one that is filled; return how many events were new."""
    if changes.erased:
        exclude(session)
    else:
        session.execute(_QUERIES["share"], {"lock": _LOCK})
    return write(session, changes)


def exclude(session: Session) -> None:
    """Write alone until the transaction ends."""
    session.execute(_QUERIES["exclude"], {"lock": _LOCK})


def write(session: Session, changes: Changes, *, only: Generations | None = None) -> int:
    """Write changes, under the lock, to some generations or to those in use; return how many events were new.

    A person is erased from all that are in use, and nothing is stored of the money of one who was erased before.
    """
    if changes.erased:
        _erase(session, changes)
    tokens = {owner: token_of(owner) for owner in {fact.user_id for fact in changes.facts.values()}}
    row = _targets(session, list(tokens.values()))
    targets = only or Generations(money=row["money"], people=row["people"])
    erased = frozenset(row["erased"])
    facts = [fact for fact in changes.facts.values() if not erased or tokens[fact.user_id] not in erased]
    written = _write_transactions(session, facts, targets.money) if facts else {}
    if targets.people:
        _write_people(session, changes, targets.people)
        _count(session, changes, targets.people)
    return changes.new_among(written)


def _targets(session: Session, tokens: Sequence[str]) -> DictRow:
    row = session.fetch_one(_QUERIES["targets"], {"tokens": array(tokens)})
    assert row is not None, "a query of values returns a row"
    return row


def _erase(session: Session, changes: Changes) -> None:
    users = sorted(changes.erased)
    parameters = {"users": array(users), "tokens": array(map(token_of, users))}
    session.execute(_QUERIES["erase"], {**parameters, "generations": array(_targets(session, ())["money"])})


def _write_transactions(session: Session, facts: Sequence[Fact], generations: Sequence[int]) -> dict[str, int]:
    """Return the transactions that were written, each with the sequence that was known before, or 0."""
    names = ("users", "ids", "sequences", "kinds", "amounts", "currencies", "dates", "categories")
    parameters = dict(zip(names, columns(facts), strict=True))
    targets = {"generations": array(generations), "first": generations[0]}
    row = session.fetch_one(_QUERIES["transactions"], {**parameters, **targets})
    assert row is not None, "a query of values returns a row"
    known = (row["known"] or "").split()
    return dict.fromkeys((row["written"] or "").split(), 0) | dict(zip(known[::2], map(int, known[1::2]), strict=True))


def _write_people(session: Session, changes: Changes, generations: Sequence[int]) -> None:
    if not changes.people:
        return
    rows = [
        (token_of(user), marks.signed_up, marks.activated, marks.first_transaction)
        for user, marks in changes.people.items()
    ]
    parameters = dict(zip(("tokens", "signed_up", "activated", "first_transaction"), columns(rows), strict=True))
    session.execute(_QUERIES["people"], {**parameters, "generations": array(generations)})


def _count(session: Session, changes: Changes, generations: Sequence[int]) -> None:
    by_name: dict[str, list[tuple[str, str]]] = {}
    for place, name in changes.counted.items():
        by_name.setdefault(name, []).append(place)
    for name in sorted(by_name):  # Batches that count the same lock it in the same order.
        days, tokens = columns(by_name[name])
        parameters = {"what": name, "days": days, "tokens": tokens, "generations": array(generations)}
        session.execute(_QUERIES["count"], parameters)
