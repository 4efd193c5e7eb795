"""`moneyflow events dead-letter`: groups, lists, and acts on a frozen set, each once, kept with who and why."""

import threading
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.ids import new_id
from moneyflow.platform.operations.sources import Order, Selection
from moneyflow.platform.sinks.dead_letters.source import DEAD_LETTERS, REPROCESS
from moneyflow.platform.sinks.dead_letters.use_cases import DeadEvents
from moneyflow.settings import AllSettings
from tests.support.dead_events import consume, event, keep, states
from tests.support.failures import moneyflow, moneyflow_process
from tests.support.waiting import eventually

ROLE = "operator"

_WORDS = ("events", "dead-letter")


def _order(*ids: UUID, canary: int | None = None, rate: float | None = None) -> Order:
    return Order(
        verb=REPROCESS, sources=(DEAD_LETTERS,), selection=Selection(ids=tuple(map(str, ids))), asked_by="ada",
        canary=canary, rate=rate,
    )  # fmt: skip


def _results(report: dict[str, Any]) -> dict[str, str]:
    return {item["dead_letter"]: item["result"] for item in report["items"]}


def test_what_is_dead_is_grouped_by_sink_type_error_and_message_without_numbers(
    environment: dict[str, str], settings: AllSettings
) -> None:
    bad = keep(settings, 3)
    keep(settings, 1, sink="crm", first_offset=9)
    keep(settings, 1, first_offset=20, value=b"no JSON", error=UnicodeError("no JSON"))

    found = moneyflow(environment, *_WORDS, "groups", "--json").json
    of_crm = moneyflow(environment, *_WORDS, "groups", "--sink", "crm", "--json").json
    printed = moneyflow(environment | {"COLUMNS": "80"}, *_WORDS, "groups").text

    counted = {(one["sink"], one["event_type"], one["error_class"]): one["dead_letters"] for one in found["groups"]}
    assert (found["total"], found["in_groups"]) == (5, 3)
    assert counted == {
        ("audit", "user.created", "PoisonError"): 3,
        ("crm", "user.created", "PoisonError"): 1,
        ("audit", None, "UnicodeError"): 1,
    }
    first = found["groups"][0]
    assert (first["message"], first["sample_id"]) == ("record … is bad", str(bad[-1]))
    assert [one["sink"] for one in of_crm["groups"]] == ["crm"]
    assert str(bad[-1]) in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_a_list_is_chosen_by_every_filter_and_a_misspelt_one_is_refused(
    environment: dict[str, str], settings: AllSettings
) -> None:
    subject = str(new_id())
    (one,) = keep(settings, 1, value=event(type="user.deleted", subject=subject, correlation_id="request-7"))
    keep(settings, 2, first_offset=5, error=PoisonError("another"))
    (group,) = moneyflow(environment, *_WORDS, "groups", "--type", "user.deleted", "--json").json["groups"]

    filters = [
        ("--type", "user.deleted"), ("--subject", subject), ("--correlation-id", "request-7"), ("--text", "0 IS BAD"),
        ("--group", group["group"]),
    ]  # fmt: skip
    for option, value in filters:
        found = moneyflow(environment, *_WORDS, "list", option, value, "--json").json
        assert [letter["id"] for letter in found["dead_letters"]] == [str(one)], option
    assert moneyflow(environment, *_WORDS, "list", "--until", "1h", "--json").json["total"] == 0
    assert moneyflow(environment, *_WORDS, "list", "--limit", "1", "--json").json["total"] == 3

    for words, text in [
        (("--sink", "audti"), "did you mean audit?"),
        (("--type", "user.delted"), "did you mean user.deleted?"),
        (("--group", "0123456789"), "no group 0123456789"),
        (("--state", "bad"), "one of dead, waiting"),
    ]:
        refused = moneyflow_process(environment, *_WORDS, "list", *words)
        assert text in refused.communicate(timeout=60)[1]
        assert refused.returncode == 2


def test_one_is_shown_with_its_event_masked_and_the_operations_on_it(
    environment: dict[str, str], settings: AllSettings
) -> None:
    value = event()[:-1] + b',"data":{"password":"hunter2"}}'
    (one,) = keep(settings, 1, value=value)
    moneyflow(environment, *_WORDS, "discard", one, "--reason", "a test of ours", "--by", "ada")

    shown = moneyflow(environment, *_WORDS, "show", one, "--json").json
    printed = moneyflow(environment, *_WORDS, "show", one).text

    assert (shown["state"], shown["kafka_offset"], shown["key"]) == ("discarded", 0, "key")
    assert shown["event"]["data"] == {"password": "***"}
    assert [(done["verb"], done["asked_by"], done["reason"]) for done in shown["operations"]] == [
        ("discard", "ada", "a test of ours")
    ]
    assert "hunter2" not in printed
    assert "a test of ours" in printed


def test_a_dry_run_counts_and_changes_nothing(
    environment: dict[str, str], settings: AllSettings, database: Database
) -> None:
    ids = keep(settings, 3)
    moneyflow(environment, *_WORDS, "discard", ids[0], "--reason", "no")

    found = moneyflow(environment, *_WORDS, "reprocess", *ids, new_id(), "--dry-run", "--json").json

    assert found["results"] == {"wrong state": 1, "due": 2, "not found": 1}
    assert "restore it first" in found["items"][0]["detail"]
    assert states(database, ids) == ["discarded", "dead", "dead"]


def test_the_result_of_each_is_what_its_sink_made_of_it(settings: AllSettings, database: Database) -> None:
    ids = keep(settings, 3)
    operations = DeadEvents(database).operations
    operation_id = operations.freeze(_order(*ids))
    later = keep(settings, 1, first_offset=10)

    list(operations.run(operation_id, end_seconds=0))
    begun = operations.report(operation_id)
    taken = consume(settings, still_bad=ids[1:2])
    ended = operations.report(operation_id)

    assert (begun.results, begun.is_done) == ({"due": 3}, False)
    assert taken == ids
    assert [(item["result"], item["detail"]) for item in ended.items] == [
        ("reprocessed", None), ("dead again", "PoisonError: it is still bad"), ("reprocessed", None),
    ]  # fmt: skip
    assert states(database, [*ids, *later]) == ["reprocessed", "dead", "reprocessed", "dead"]


def test_a_result_stays_when_another_operation_acts_on_the_same_dead_letter(
    settings: AllSettings, database: Database
) -> None:
    (one,) = keep(settings, 1)
    operations = DeadEvents(database).operations
    reports = []
    for still_bad in ([one], []):
        operation_id = operations.freeze(_order(one))
        list(operations.run(operation_id, end_seconds=0))
        consume(settings, still_bad=still_bad)
        reports.append(operation_id)

    first, second = (operations.report(operation_id).items[0] for operation_id in reports)

    assert (first["result"], second["result"]) == ("dead again", "reprocessed")


def test_two_operators_at_the_same_time_make_each_due_once(settings: AllSettings, database: Database) -> None:
    ids = keep(settings, 1500)
    operations = DeadEvents(database).operations
    operation_ids = [operations.freeze(_order(*ids)), operations.freeze(_order(*reversed(ids)))]
    both, failures = threading.Barrier(2), list[BaseException]()

    def act(operation_id: UUID) -> None:
        try:
            both.wait(10)
            list(operations.run(operation_id, end_seconds=0))
        except BaseException as error:  # noqa: BLE001 - reported below, where it fails the test
            failures.append(error)

    threads = [threading.Thread(target=act, args=(operation_id,)) for operation_id in operation_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = consume(settings)

    assert failures == []
    assert sorted(taken) == sorted(ids)
    results = sum((Counter(operations.report(one).results) for one in operation_ids), Counter[str]())
    assert results == {"reprocessed": 1500, "already done": 1500}


def test_the_others_become_due_when_the_sink_has_written_the_whole_canary(
    environment: dict[str, str], settings: AllSettings, database: Database
) -> None:
    ids = keep(settings, 30)
    command = moneyflow_process(environment, *_WORDS, "reprocess", "--all", "--reason", "mended", "--canary", "2",
                                "--json")  # fmt: skip

    canary = eventually(lambda: consume(settings), what="the canary is due")
    others = eventually(lambda: consume(settings), what="the others are due")
    printed, notes = command.communicate(timeout=60)

    assert (canary, others) == (ids[:2], ids[2:])
    assert command.returncode == 0, notes
    assert '"reprocessed": 30' in printed


def test_a_canary_that_is_dead_again_stops_the_operation_until_it_is_resumed(
    environment: dict[str, str], settings: AllSettings, database: Database
) -> None:
    ids = keep(settings, 30)
    command = moneyflow_process(environment, *_WORDS, "reprocess", "--sink", "audit", "--reason", "mended")

    canary = eventually(lambda: consume(settings, still_bad=ids[:1]), what="a canary of five is due")
    printed, notes = command.communicate(timeout=60)
    resumed = moneyflow(environment, *_WORDS, "reprocess", "--resume", _id_of(notes), "--wait", "0", "--json")

    assert (command.returncode, canary) == (1, ids[:5]), notes
    assert "a canary of 5 goes first" in notes
    assert "25 items were left as they are" in printed
    assert f"moneyflow events dead-letter reprocess --resume {_id_of(notes)}" in printed
    assert "it is still bad" in printed
    assert resumed.json["results"] == {"due": 25, "reprocessed": 4, "dead again": 1}


def _id_of(notes: str) -> str:
    """Return the id of the operation that a command has begun."""
    return notes.partition("--resume ")[2].split()[0]


def test_a_rate_spreads_the_due_times(environment: dict[str, str], settings: AllSettings, database: Database) -> None:
    ids = keep(settings, 3)

    moneyflow(environment, *_WORDS, "reprocess", *ids, "--reason", "mended", "--rate", "6/h", "--wait", "0")
    with database.transaction() as session:
        rows = session.fetch_all("select extract(epoch from due_at - min(due_at) over ())::integer as after "
                                 "from event_dead_letters order by kafka_offset")  # fmt: skip

    assert [row["after"] for row in rows] == [0, 600, 1200]
    assert consume(settings) == ids[:1]


def test_an_operation_that_was_killed_is_resumed_and_makes_nothing_due_twice(
    environment: dict[str, str], settings: AllSettings, database: Database
) -> None:
    ids = keep(settings, 2500)
    killed = moneyflow_process(environment, *_WORDS, "reprocess", "--all", "--yes", "--reason", "mended",
                               sabotage="dies_at:session.before_commit:5")  # fmt: skip
    _, notes = killed.communicate(timeout=60)
    due = Counter(states(database, ids))["due"]
    taken = consume(settings)

    resumed = moneyflow(environment, *_WORDS, "reprocess", "--resume", _id_of(notes), "--wait", "0", "--json")
    taken += consume(settings)
    ended = moneyflow(environment, *_WORDS, "operations", _id_of(notes), "--json").json

    assert killed.returncode == -9
    assert 0 < due < 2500
    assert resumed.json["results"] == {"reprocessed": due, "due": 2500 - due}
    assert sorted(taken) == sorted(ids)
    assert ended["results"] == {"reprocessed": 2500}


def test_what_was_discarded_is_restored_by_its_operation_and_dead_again(
    environment: dict[str, str], settings: AllSettings, database: Database
) -> None:
    ids = keep(settings, 3)

    discarded = moneyflow(environment, *_WORDS, "discard", *ids[:2], "--reason", "a test of the vendor's", "--json")
    again = moneyflow(environment, *_WORDS, "discard", ids[0], "--reason", "two", "--json")
    listed = moneyflow(environment, *_WORDS, "list", "--state", "discarded", "--json").json
    operation = discarded.json["operation"]["id"]
    restored = moneyflow(environment, *_WORDS, "restore", "--reason", "ours", "--operation", operation, "--json")

    assert discarded.json["results"] == {"discarded": 2}
    assert _results(discarded.json) == {str(one): "discarded" for one in ids[:2]}
    assert (again.code, again.json["results"]) == (0, {"already done": 1})
    assert listed["total"] == 2
    assert (restored.code, restored.json["results"]) == (0, {"restored": 2})
    assert states(database, ids) == ["dead"] * 3


def test_operations_on_dead_letters_are_listed_apart_from_those_on_jobs(
    environment: dict[str, str], settings: AllSettings
) -> None:
    ids = keep(settings, 1)
    operation = moneyflow(environment, *_WORDS, "discard", *ids, "--reason", "no", "--json").json["operation"]["id"]

    listed = moneyflow(environment, *_WORDS, "operations", "--json").json["operations"]

    assert [one["id"] for one in listed] == [operation]
    assert moneyflow(environment, "failed", "operations", "--json").json == {"operations": []}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["reprocess"], "which ones?"),
        (["reprocess", "--all", "--sink", "audit"], "a filter and --all do not go together"),
        (["reprocess", "not-an-id"], "not-an-id is not the id of a dead letter"),
        (["reprocess", "--all"], "reprocess asks for a reason"),
        (["discard", "--all", "--reason", "no"], "add --yes when these are meant"),
        (["show", str(new_id())], "moneyflow events dead-letter list"),
    ],
)
def test_a_command_that_cannot_be_meant_says_what_to_give_and_does_nothing(
    environment: dict[str, str], settings: AllSettings, database: Database, arguments: list[str], text: str
) -> None:
    ids = keep(settings, 21)

    refused = moneyflow_process(environment, *_WORDS, *arguments)

    assert text in refused.communicate(timeout=60)[1]
    assert refused.returncode == 2
    assert set(states(database, ids)) == {"dead"}
