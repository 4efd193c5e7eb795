"""`moneyflow failed replay|discard|restore`: a frozen set, each job once, killed and resumed, kept with who and why."""

import itertools
import threading
from collections import Counter
from typing import Any
from uuid import UUID

import psycopg
import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.errors import ConflictError, InvalidInputError, NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.failed.failed_jobs import JOBS, REPLAY, FailedJobs
from moneyflow.platform.operations.engine import Operations
from moneyflow.platform.operations.sources import Order, Selection
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.failures import deliver_dead_letters, fail_jobs, moneyflow, moneyflow_process
from tests.support.servers import RealServers
from tests.support.waiting import eventually

ROLE = "operator"


def _set(database: Database, change: str, *ids: UUID) -> None:
    with database.transaction() as session:
        session.execute(f"update jobs set {change} where id = any(%(ids)s)", {"ids": list(ids)})


def _operations(database: Database) -> Operations:
    return Operations(database, [FailedJobs(database)])


def _order() -> Order:
    return Order(verb=REPLAY, sources=(JOBS,), selection=Selection(), asked_by="ada")


def _results(report: dict[str, Any]) -> dict[str, str]:
    return {item["job_id"]: item["result"] for item in report["items"]}


def test_what_the_filter_means_is_replayed_and_begins_again(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    meant = fail_jobs(database, 3, error_class="ValueError")
    other = fail_jobs(database, 2)
    _set(database, "cancel_requested_at = now(), quarantined = true", *meant)

    answer = moneyflow(environment, "failed", "replay", "--error", "ValueError", "--reason", "the parser is fixed",
                       "--by", "ada", "--json")  # fmt: skip

    assert answer.code == 0
    report = answer.json
    assert report["results"] == {"replayed": 3}
    assert _results(report) == {str(job_id): "replayed" for job_id in meant}
    kept = report["operation"]
    assert (kept["verb"], kept["asked_by"], kept["reason"]) == ("replay", "ada", "the parser is fixed")
    assert (kept["filter"], kept["state"], kept["items"]) == ({"error_classes": ["ValueError"]}, "ended", 3)
    row = jobs.job(database, meant[0])
    assert (row["state"], row["attempt"], row["fence"], row["finished_at"]) == ("scheduled", 0, 5, None)
    assert (row["quarantined"], row["cancel_requested_at"], row["error_class"]) == (False, None, "ValueError")
    assert len(jobs.attempts(database, meant[0])) == 1
    assert jobs.states(database, other) == {"failed": 2}


def test_a_replayed_job_shows_by_whom_and_why(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    (job_id,) = fail_jobs(database, 1)
    moneyflow(environment, "failed", "replay", job_id, "--reason", "once more", "--by", "ada")

    shown = moneyflow(environment, "failed", "show", job_id)
    (done,) = moneyflow(environment, "failed", "show", job_id, "--json").json["operations"]

    assert (done["verb"], done["asked_by"], done["reason"], done["result"]) == (
        "replay",
        "ada",
        "once more",
        "replayed",
    )
    assert "once more" in shown.text


def test_a_job_under_a_limit_waits_for_its_place_again(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    limited, free = fail_jobs(database, 2)
    _set(database, "limit_name = 'smtp'", limited)

    moneyflow(environment, "failed", "replay", "--reason", "repaired", "--all")

    assert jobs.job(database, limited)["waits_for"] == "limit"
    assert jobs.job(database, free)["waits_for"] is None


def test_ids_are_answered_one_by_one_also_those_where_nothing_is_to_be_done(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 8)
    failed, queued, succeeded, discarded, cancelled, version, kind, payload = ids
    _set(database, "state = 'queued'", queued)
    _set(database, "state = 'succeeded'", succeeded)
    _set(database, "state = 'discarded'", discarded)
    _set(database, "state = 'cancelled'", cancelled)
    _set(database, "version = 99", version)
    _set(database, "kind = 'of_the_future'", kind)
    _set(database, """payload = '{"seconds": "many"}'""", payload)
    unknown = new_id()

    dry = moneyflow(environment, "failed", "replay", *ids, unknown, "--dry-run", "--json")
    answer = moneyflow(environment, "failed", "replay", "--reason", "repaired", *ids, unknown, failed, "--json")

    expected = {
        failed: "replayed", queued: "already done", succeeded: "already done", discarded: "wrong state",
        cancelled: "wrong state", version: "unknown version", kind: "unknown kind", payload: "invalid payload",
        unknown: "not found",
    }  # fmt: skip
    assert (dry.code, answer.code) == (0, 1)
    assert _results(dry.json) == _results(answer.json) == {str(job): result for job, result in expected.items()}
    details = {item["job_id"]: item["detail"] for item in answer.json["items"]}
    assert "restore it first" in details[str(discarded)]
    assert "seconds" in details[str(payload)]
    assert jobs.states(database, ids) == {
        "scheduled": 1, "queued": 1, "succeeded": 1, "discarded": 1, "cancelled": 1, "failed": 3,
    }  # fmt: skip


def test_a_dry_run_of_a_filter_counts_and_changes_nothing(environment: dict[str, str], database: Database) -> None:
    good = fail_jobs(database, 1200)
    bad = fail_jobs(database, 2, version=99)

    found = moneyflow(environment, "failed", "replay", "--all", "--dry-run", "--json").json
    said = moneyflow(environment, "failed", "replay", "--all", "--dry-run")

    assert found["results"] == {"replayed": 1200, "unknown version": 2}
    assert "nothing was changed" in said.text
    assert str(bad[0]) in said.text
    assert jobs.states(database, [*good, *bad]) == {"failed": 1202}
    assert moneyflow(environment, "failed", "operations", "--json").json == {"operations": []}


def test_what_fails_after_the_freeze_is_not_part_of_the_set(queues: AllSettings, database: Database) -> None:
    first = fail_jobs(database, 2)
    operations = _operations(database)
    operation_id = operations.freeze(_order())
    later = fail_jobs(database, 2)
    _set(database, "fence = fence + 1", first[0])

    list(operations.run(operation_id))

    assert jobs.states(database, later) == {"failed": 2}
    assert jobs.job(database, first[0])["state"] == "failed", "it was replayed by the other operator, and failed again"
    assert jobs.job(database, first[1])["state"] == "scheduled"


def test_two_operators_on_one_set_replay_each_job_once(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 3000)
    both = threading.Barrier(2)
    operations = _operations(database)
    operation_ids = [operations.freeze(_order()) for _ in range(2)]
    failures: list[BaseException] = []

    def act(operation_id: UUID) -> None:
        try:
            both.wait(10)
            list(operations.run(operation_id))
        except BaseException as error:  # noqa: BLE001 - reported below, where it fails the test
            failures.append(error)

    threads = [threading.Thread(target=act, args=(operation_id,)) for operation_id in operation_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    reports = [moneyflow(environment, "failed", "operations", one, "--json").json for one in operation_ids]
    total: Counter[str] = Counter()
    for report in reports:
        total.update(report["results"])
        assert report["operation"]["state"] == "ended"
    assert total == {"replayed": 3000, "already done": 3000}
    with database.transaction() as session:
        rows = session.fetch_all("select state, fence, count(*) from jobs group by state, fence")
    assert [(row["state"], row["fence"], row["count"]) for row in rows] == [("scheduled", 5, len(ids))]


def test_a_rate_spreads_the_due_times_over_all_chunks(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 2500)

    report = moneyflow(
        environment, "failed", "replay", "--reason", "repaired", "--all", "--yes", "--rate", "100/s", "--json"
    ).json

    assert report["operation"]["rate_per_second"] == 100
    with database.transaction() as session:
        rows = session.fetch_all("select id, due_at from jobs order by due_at")
    assert [row["id"] for row in rows] == ids
    gaps = {round((b["due_at"] - a["due_at"]).total_seconds(), 3) for a, b in itertools.pairwise(rows)}
    assert gaps == {0.01}


def _killed_in_the_middle(environment: dict[str, str], *arguments: str) -> str:
    """Run a command that is killed after some of its commits; return the operation it has begun."""
    process = moneyflow_process(environment, "failed", *arguments, sabotage="dies_at:session.before_commit:7")
    _, notes = process.communicate(timeout=60)
    assert process.returncode == -9, notes
    (operation,) = moneyflow(environment, "failed", "operations", "--json").json["operations"]
    assert operation["state"] == "open"
    assert 0 < operation["open_items"] < operation["items"]
    assert f"--resume {operation['id']}" in notes
    return str(operation["id"])


def test_a_replay_that_was_killed_is_resumed_at_its_rate_and_runs_no_job_twice(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 4500)
    operation = _killed_in_the_middle(environment, "replay", "--all", "--yes", "--reason", "repaired", "--rate", "1000")
    later = fail_jobs(database, 1)
    before = jobs.states(database, ids)

    answer = moneyflow(environment, "failed", "replay", "--resume", operation, "--json")

    assert 0 < before["scheduled"] < 4500
    assert answer.code == 0
    assert answer.json["results"] == {"replayed": 4500}
    with database.transaction() as session:
        rows = session.fetch_all("select fence, due_at from jobs where state = 'scheduled' order by due_at")
    assert {row["fence"] for row in rows} == {5}
    gaps = [(b["due_at"] - a["due_at"]).total_seconds() for a, b in itertools.pairwise(rows)]
    assert min(gaps) > 0.0009
    assert jobs.states(database, later) == {"failed": 1}
    again = moneyflow(environment, "failed", "replay", "--resume", operation, "--json")
    assert (again.code, again.json["results"]) == (0, {"replayed": 4500})
    assert jobs.states(database, ids) == {"scheduled": 4500}


def test_discarded_jobs_keep_their_reason_and_are_restored_with_their_dead_letters(
    environment: dict[str, str], queues: AllSettings, database: Database, servers: RealServers
) -> None:
    ids = fail_jobs(database, 3, dead_letters=True)
    deliver_dead_letters(queues)
    before = [jobs.job(database, job_id) for job_id in ids]

    discarded = moneyflow(environment, "failed", "discard", *ids[:2], "--reason", "a test of the vendor's", "--json")
    listed = moneyflow(environment, "failed", "list", "--state", "discarded", "--json").json
    left = rabbitmq_admin.ready(queues, "jobs_failed")
    operation = discarded.json["operation"]["id"]
    restored = moneyflow(environment, "failed", "restore", "--reason", "repaired", "--operation", operation, "--json")

    assert discarded.json["results"] == {"discarded": 2}
    assert discarded.json["letters"] == {"removed": 2, "left": 1, "refused": 0, "undone": None}
    assert {job["id"] for job in listed["jobs"]} == {str(job_id) for job_id in ids[:2]}
    assert left == 1
    assert (restored.code, restored.json["results"]) == (0, {"restored": 2})
    assert [jobs.job(database, job_id) for job_id in ids] == before
    deliver_dead_letters(queues)
    dead_letters = rabbitmq_admin.take_messages(servers, queues.rabbitmq_vhost, "jobs_failed")
    assert {dead_letter["properties"]["message_id"] for dead_letter in dead_letters} == {str(job_id) for job_id in ids}
    (done, undone) = moneyflow(environment, "failed", "show", ids[0], "--json").json["operations"]
    assert (done["reason"], undone["verb"]) == ("a test of the vendor's", "restore")


def test_discarding_twice_is_done_already_and_a_replayed_job_is_not_discarded(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    first, second = fail_jobs(database, 2)
    moneyflow(environment, "failed", "discard", first, "--reason", "one")
    moneyflow(environment, "failed", "replay", "--reason", "repaired", second)

    again = moneyflow(environment, "failed", "discard", first, "--reason", "two", "--json")
    late = moneyflow(environment, "failed", "discard", second, "--reason", "two", "--json")

    assert (again.code, again.json["results"]) == (0, {"already done": 1})
    assert (late.code, late.json["results"]) == (1, {"wrong state": 1})
    assert jobs.job(database, second)["state"] == "scheduled"


def test_a_discard_with_a_rate_takes_its_time(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 6)

    report = moneyflow(environment, "failed", "discard", "--all", "--reason", "no", "--rate", "6/s", "--json").json

    begun, ended = (report["operation"][name] for name in ("created_at", "ended_at"))
    assert jobs.states(database, ids) == {"discarded": 6}
    assert ended > begun
    with database.transaction() as session:
        row = session.fetch_one("select extract(epoch from ended_at - created_at)::float as seconds from operations")
    assert row is not None
    assert row["seconds"] >= 1


def test_nothing_to_do_is_done(environment: dict[str, str], queues: AllSettings, database: Database) -> None:
    answer = moneyflow(environment, "failed", "replay", "--reason", "repaired", "--all", "--json")

    assert (answer.code, answer.json["results"]) == (0, {})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay"], "which ones?"),
        (["replay", "--all", "--kind", "send_email"], "a filter and --all do not go together"),
        (["replay", "not-an-id"], "not-an-id is not the id of a job"),
        (["replay", "--kind", "send_emial", "--reason", "repaired"], "did you mean send_email"),
        (["replay", "--all", "--rate", "fast"], "--rate fast: give a number above 0"),
        (["replay", "--all", "--rate", "0/s"], "--rate 0/s"),
        (["replay", "--resume", "x"], "--resume x: not the id of an operation"),
        (["replay", "--all", "--resume", "x"], "do not go together"),
        (["replay", "--all"], "replay asks for a reason"),
        (["discard", "--all"], "discard asks for a reason"),
        (["restore", "--all"], "restore asks for a reason"),
        (["restore", "--operation", "x"], "--operation x: not the id"),
        (["replay", "--refused", "--all", "--canary", "1"], "leave them out with --refused"),
        (["replay", "--resume", str(new_id()), "--rate", "1"], "give no other option with it"),
    ],
)
def test_a_command_that_cannot_be_meant_says_what_to_give_and_does_nothing(
    environment: dict[str, str], database: Database, arguments: list[str], said: str
) -> None:
    ids = fail_jobs(database, 1)

    with pytest.raises(InvalidInputError, match=said.replace("?", r"\?")):
        moneyflow(environment, "failed", *arguments)

    assert jobs.states(database, ids) == {"failed": 1}


def test_an_operation_is_resumed_by_its_own_verb_and_must_exist(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    (job_id,) = fail_jobs(database, 1)
    operation = moneyflow(environment, "failed", "replay", "--reason", "repaired", job_id, "--json").json["operation"][
        "id"
    ]

    with pytest.raises(ConflictError, match="is a replay"):
        moneyflow(environment, "failed", "discard", "--resume", operation)
    with pytest.raises(NotFoundError, match="moneyflow failed operations"):
        moneyflow(environment, "failed", "replay", "--resume", new_id())


def test_with_rabbitmq_down_the_rows_are_replayed_and_what_was_left_undone_is_reported(
    environment: dict[str, str], queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 2, dead_letters=True)
    deliver_dead_letters(queues)
    down = environment | {"RABBITMQ_PORT": "1"}

    answer = moneyflow(down, "failed", "replay", "--reason", "repaired", "--all")
    swept_in_vain = moneyflow(down, "failed", "sweep", "--json")
    swept = moneyflow(environment, "failed", "sweep", "--json")

    assert answer.code == 0
    assert jobs.states(database, ids) == {"scheduled": 2}
    assert "moneyflow failed sweep" in answer.text
    assert (swept_in_vain.code, swept.code) == (1, 0)
    assert "RabbitMQ" in swept_in_vain.json["undone"]
    assert swept.json == {"removed": 2, "left": 0, "refused": 0, "undone": None}


def test_two_operators_who_resume_one_operation_act_one_after_the_other(
    queues: AllSettings, database: Database, settings: AllSettings
) -> None:
    ids = fail_jobs(database, 10)
    operations = _operations(database)
    operation_id = operations.freeze(_order())
    done: list[int] = []
    acting = threading.Thread(target=lambda: done.extend(step.done for step in operations.run(operation_id)))

    with psycopg.connect(settings.conninfo("operator", application_name="test")) as other:
        other.execute("select from operations where id = %s for update", (operation_id,))
        acting.start()
        eventually(lambda: done == [0], what="the second one has begun")
        states_meanwhile = jobs.states(database, ids)
        other.commit()
    acting.join()

    assert states_meanwhile == {"failed": 10}
    assert done == [0, 10]
