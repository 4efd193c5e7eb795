"""Operations on the items of any source: the engine knows neither its verbs nor its items."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import pytest

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import ConflictError, InvalidInputError, NotFoundError
from moneyflow.platform.operations.engine import Operations
from moneyflow.platform.operations.sources import (
    ALREADY_DONE,
    NOT_FOUND,
    Chunk,
    Ends,
    Frozen,
    Item,
    Order,
    Outcome,
    Selection,
    Verb,
    Verification,
)

ROLE = "operator"


class Lamps:
    """A source whose items are lamps that are off, and whose verb switches them on; a broken one stays dark."""

    name = "lamps"
    verbs: Mapping[str, Verb] = {
        "switch_on": Verb(name="switch_on", result="switched on", chunk_items=2, is_verified=True),
        "count": Verb(name="count", result="counted"),
    }

    def __init__(self, off: Iterable[str], *, broken: Iterable[str] = ()) -> None:
        self.off = set(off)
        self.broken = set(broken)
        self.chunks: list[list[str]] = []

    def freeze(self, order: Order) -> Frozen:
        ids = list(order.selection.ids) or sorted(self.off)
        query = (
            "select position::integer as position, item_id, 'off' as guard, "
            "jsonb_build_object('lamp', item_id) as content "
            "from unnest(%(ids)s::text[]) with ordinality as asked (item_id, position)"
        )
        return Frozen(query=query, parameters={"ids": ids})

    def judge(self, session: Session, verb: str, items: Sequence[Item]) -> Mapping[int, Outcome]:  # noqa: ARG002
        return {item.position: Outcome(result=NOT_FOUND) for item in items if item.item_id.startswith("no_")}

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:  # noqa: ARG002
        self.chunks.append([item.item_id for item in chunk.items])
        outcomes = {
            item.position: Outcome(result="switched on" if item.item_id in self.off else ALREADY_DONE)
            for item in chunk.items
        }
        self.off -= {item.item_id for item in chunk.items}
        return outcomes

    def verify(self, session: Session, item_ids: Iterable[str]) -> list[Verification]:  # noqa: ARG002
        return [
            Verification(
                item_id=name, state="dark" if name in self.broken else "lit", has_succeeded=name not in self.broken
            )
            for name in item_ids
        ]


def _order(*ids: str, verb: str = "switch_on", canary: int | None = None) -> Order:
    return Order(verb=verb, sources=("lamps",), selection=Selection(ids=ids), asked_by="ada", canary=canary)


def _results(operations: Operations, operation_id: object) -> dict[str, str]:
    return {item["item_id"]: item["result"] for item in operations.report(operation_id).items}  # type: ignore[arg-type]


def test_a_verb_that_only_its_source_knows_is_run_in_chunks_and_reported(database: Database) -> None:
    lamps = Lamps(["a", "b", "c"])
    operations = Operations(database, [lamps])

    operation_id = operations.freeze(_order("a", "b", "c", "no_d"))
    progress = [step.done for step in operations.run(operation_id)]

    report = operations.report(operation_id)
    assert lamps.chunks == [["a", "b"], ["c"]]
    assert progress == [0, 2, 4]
    assert _results(operations, operation_id) == {
        "a": "switched on", "b": "switched on", "c": "switched on", "no_d": "not found",
    }  # fmt: skip
    assert (report.operation["verb"], report.operation["sources"]) == ("switch_on", ["lamps"])
    assert (report.has_acted, report.is_done) == (True, False)


def test_a_preview_judges_and_keeps_nothing(database: Database) -> None:
    lamps = Lamps(["a"])
    operations = Operations(database, [lamps])

    preview = operations.preview(_order("a", "no_b"))

    assert preview.results == {"switched on": 1, "not found": 1}
    assert lamps.off == {"a"}
    assert operations.recent(limit=1) == []


def test_the_content_and_the_guard_that_were_frozen_come_back_with_the_item(database: Database) -> None:
    seen: list[Item] = []

    class Watched(Lamps):
        def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
            seen.extend(chunk.items)
            return super().act(session, chunk)

    operations = Operations(database, [Watched(["a"])])
    list(operations.run(operations.freeze(_order("a"))))

    assert seen == [Item(position=1, item_id="a", guard="off", content={"lamp": "a"})]


def test_items_of_two_sources_are_one_operation_in_the_order_of_the_sources(database: Database) -> None:
    class Candles(Lamps):
        name = "candles"

    lamps, candles = Lamps(["a"]), Candles(["x", "y"])
    operations = Operations(database, [lamps, candles])
    order = Order(verb="switch_on", sources=("candles", "lamps"), selection=Selection(), asked_by="ada")

    operation_id = operations.freeze(order)
    list(operations.run(operation_id))

    items = operations.report(operation_id).items
    assert [(item["position"], item["source"], item["item_id"]) for item in items] == [
        (1, "candles", "x"), (2, "candles", "y"), (3, "lamps", "a"),
    ]  # fmt: skip
    assert operations.report(operation_id).is_done


def test_an_act_that_breaks_leaves_the_operation_open_and_it_resumes_after_the_last_chunk(database: Database) -> None:
    class Fused(Lamps):
        def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
            if self.chunks and "c" in self.broken:
                raise RuntimeError("the fuse")
            return super().act(session, chunk)

    lamps = Fused(["a", "b", "c"], broken=["c"])
    operations = Operations(database, [lamps])
    operation_id = operations.freeze(_order("a", "b", "c"))

    with pytest.raises(RuntimeError, match="the fuse"):
        list(operations.run(operation_id))
    left = operations.report(operation_id)
    lamps.broken.clear()
    operations.resume(operation_id, verb="switch_on")
    list(operations.run(operation_id))

    assert (left.operation["state"], left.results) == ("open", {"switched on": 2, "open": 1})
    assert lamps.chunks == [["a", "b"], ["c"]]
    assert operations.report(operation_id).is_done


def test_a_canary_that_the_source_does_not_verify_stops_the_rest_until_it_is_resumed(database: Database) -> None:
    lamps = Lamps(["a", "b", "c"], broken=["a"])
    operations = Operations(database, [lamps])
    operation_id = operations.freeze(_order("a", "b", "c", canary=1))

    list(operations.run(operation_id))
    stopped = operations.report(operation_id)
    operations.resume(operation_id, verb="switch_on")
    list(operations.run(operation_id))

    assert (stopped.operation["state"], stopped.results) == ("stopped", {"switched on": 1, "open": 2})
    assert [(one.item_id, one.state) for one in stopped.canary] == [("a", "dark")]
    assert operations.report(operation_id).results == {"switched on": 3}


@pytest.fixture
def operations(database: Database) -> Operations:
    return Operations(database, [Lamps(["a"])])


def test_a_verb_or_a_source_that_is_not_registered_is_refused(operations: Operations) -> None:
    with pytest.raises(InvalidInputError, match="lamps supports no paint"):
        operations.freeze(_order("a", verb="paint"))
    with pytest.raises(InvalidInputError, match="doors supports no switch_on"):
        operations.freeze(Order(verb="switch_on", sources=("doors",), selection=Selection(), asked_by="ada"))
    with pytest.raises(InvalidInputError, match="starts no work that a canary could verify"):
        operations.freeze(_order("a", verb="count", canary=1))
    assert operations.recent(limit=1) == []


def test_an_operation_is_resumed_as_what_it_is(operations: Operations) -> None:
    operation_id = operations.freeze(_order("a"))

    with pytest.raises(ConflictError, match="is a switch_on, not a count"):
        operations.resume(operation_id, verb="count")


class Kettles(Lamps):
    """A source whose kettles are put on at once, and boil later; a broken one never does."""

    name = "kettles"

    def __init__(self, off: Iterable[str], *, broken: Iterable[str] = (), cold: Iterable[str] = ()) -> None:
        super().__init__(off, broken=broken)
        self.cold = set(cold)
        ends = Ends(success="boiled", failure="broke", read=self._ends)
        self.verbs = {"boil": Verb(name="boil", result="put on", is_verified=True, ends=ends)}

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:  # noqa: ARG002
        self.chunks.append([item.item_id for item in chunk.items])
        return {item.position: Outcome(result="put on") for item in chunk.items}

    def _ends(self, session: Session, operation_id: UUID, items: Sequence[Item]) -> Mapping[int, Outcome]:  # noqa: ARG002
        return {
            item.position: Outcome(result="broke", detail="no water") if item.item_id in self.broken
            else Outcome(result="boiled")
            for item in items if item.item_id not in self.cold
        }  # fmt: skip


def _boil(*ids: str, canary: int | None = None) -> Order:
    return Order(verb="boil", sources=("kettles",), selection=Selection(ids=ids), asked_by="ada", canary=canary)


def test_the_end_of_the_work_that_an_act_starts_is_the_result_of_its_item(database: Database) -> None:
    operations = Operations(database, [Kettles(["a", "b"], broken=["b"])])

    operation_id = operations.freeze(_boil("a", "b"))
    progress = list(operations.run(operation_id))

    report = operations.report(operation_id)
    assert {item["item_id"]: (item["result"], item["detail"]) for item in report.items} == {
        "a": ("boiled", None), "b": ("broke", "no water"),
    }  # fmt: skip
    assert (report.operation["state"], report.is_done) == ("ended", False)
    assert progress[-1].done == 2


def test_an_operation_waits_no_longer_than_it_may_and_a_later_report_has_the_later_end(database: Database) -> None:
    kettles = Kettles(["a", "b"], cold=["b"])
    operations = Operations(database, [kettles])
    operation_id = operations.freeze(_boil("a", "b"))

    list(operations.run(operation_id, end_seconds=0))
    early = operations.report(operation_id)
    kettles.cold.clear()
    late = operations.report(operation_id)

    assert (early.results, early.is_done) == ({"boiled": 1, "put on": 1}, False)
    assert (late.results, late.is_done) == ({"boiled": 2}, True)


def test_a_canary_whose_work_ended_is_shown_also_when_its_end_is_kept(database: Database) -> None:
    kettles = Kettles(["a", "b", "c"], broken=["a"])
    operations = Operations(database, [kettles])
    operation_id = operations.freeze(_boil("a", "b", "c", canary=1))

    list(operations.run(operation_id))
    stopped = operations.report(operation_id)

    assert kettles.chunks == [["a"]]
    assert (stopped.operation["state"], stopped.results) == ("stopped", {"open": 2, "broke": 1})
    assert [(one.item_id, one.state) for one in operations.report(operation_id).canary] == [("a", "dark")]


def test_an_operation_is_shown_by_the_commands_of_its_sources_alone(database: Database) -> None:
    lamps, kettles = Operations(database, [Lamps(["a"])]), Operations(database, [Kettles(["a"])])
    operation_id = lamps.freeze(_order("a"))

    assert [row["id"] for row in lamps.recent(limit=9)] == [operation_id]
    assert kettles.recent(limit=9) == []
    with pytest.raises(NotFoundError, match="is of lamps, not of kettles"):
        kettles.report(operation_id)
    with pytest.raises(NotFoundError, match="is of lamps, not of kettles"):
        kettles.resume(operation_id, verb="boil")
