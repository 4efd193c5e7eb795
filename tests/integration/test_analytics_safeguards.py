"""What analytics relies on: with any one of these taken out, a story with late events and a rebuild adds up wrongly."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import pytest

from consumers.sink import Record
from moneyflow.analytics import store
from moneyflow.analytics.rebuild import Rebuilds
from moneyflow.settings import AllSettings
from tests.support.analytics_world import World, world_of

_BREAD: dict[str, Any] = {"kind": "expense", "amount": "1.00", "currency": "EUR", "date": dt.date(2026, 1, 1)}

#: What is taken out of which statement, and what is there instead.
_SAFEGUARDS: Mapping[str, tuple[str, str, str]] = {
    "an older state replaces no newer one": ("transactions", "fact.sequence < excluded.sequence", "true"),
    "the known state is taken off the sums": (
        "transactions",
        "from known where amount is not null",
        "from known where false",
    ),
    "the generation that is filled is written too": ("targets", "array[current, filling]", "array[current]"),
    "what comes after an erasure is not stored": ("targets", "token = any(%(tokens)s::uuid[])", "false"),
}


@contextmanager
def _without(safeguard: str) -> Iterator[None]:
    name, there, instead = _SAFEGUARDS[safeguard]
    queries = cast("dict[str, str]", store._QUERIES)
    kept = queries[name]
    assert there in kept, f"{name} does not have the safeguard any more: {there}"
    queries[name] = kept.replace(there, instead)
    try:
        yield
    finally:
        queries[name] = kept


def _of(world: World, *types: str) -> list[Record]:
    """Return the next events of these types, in their order; those of other types are delivered."""
    records = world.publish()
    for record in records:
        if record.envelope.type not in types:
            world.deliver([record])
    return [record for record in records if record.envelope.type in types]


def _is_right_after_a_story(world: World) -> bool:
    ada, eve = world.add_person(), world.add_person()
    late, moved = world.add(ada, **_BREAD), world.add(ada, **_BREAD)
    world.change(ada, late, amount="2.00")
    world.change(ada, moved, date=dt.date(2026, 2, 1))
    # The first state of a transaction comes after the second one, as a dead letter does that was mended.
    created, *others = _of(world, "transaction.created", "transaction.updated")
    for record in (*others, created, others[0]):
        world.deliver([record])
    is_right = world.sums() == world.source_sums()

    # A rebuild has read all rows when one of them changes.
    pages = Rebuilds(world.rebuilding, page_rows=1)
    rebuilding = pages.run(pages.begin(source="tables", asked_by="ada", reason="a test"))
    while next(rebuilding).rows_read < 2:
        pass
    world.add(ada, **_BREAD)
    world.change(ada, moved, amount="7.00")
    (added, changed) = _of(world, "transaction.created", "transaction.updated")
    world.deliver([added, changed])
    assert list(rebuilding)[-1].state == "ended"

    world.add(eve, **_BREAD)
    world.delete_person(eve)
    (of_eve,) = _of(world, "transaction.created")
    world.deliver([of_eve])
    return is_right and world.sums() == world.source_sums() and world.rows_of_deleted_people() == 0


def test_a_story_with_late_events_a_rebuild_and_an_erasure_adds_up(settings: AllSettings) -> None:
    with world_of(settings) as world:
        assert _is_right_after_a_story(world)


@pytest.mark.parametrize("safeguard", _SAFEGUARDS)
def test_without_any_one_safeguard_the_same_story_adds_up_wrongly(settings: AllSettings, safeguard: str) -> None:
    with world_of(settings) as world, _without(safeguard):
        assert not _is_right_after_a_story(world)
