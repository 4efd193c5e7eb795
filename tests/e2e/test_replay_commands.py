"""Failed jobs are brought back by `moneyflow failed replay`, by kombu, by RabbitMQ's shovel; each runs once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.failures import Answer, fail_jobs, moneyflow, moneyflow_process
from tests.support.kombu_connection import kombu_connection
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually


def _failed_for_good(database: Database, settings: AllSettings, count: int) -> list[UUID]:
    """Let jobs fail in a worker, repair what they failed of, and return them when their dead letters are there."""
    ids = jobs.enqueue(database, *[LeaveEffect(permanent=True) for _ in range(count)])
    jobs.until_all(database, ids, "failed")
    eventually(lambda: rabbitmq_admin.ready(settings, "jobs_failed") == count, what="their dead letters are there")
    with database.transaction() as session:
        session.execute("update jobs set payload = payload || '{\"permanent\": false}'")
    return ids


def test_replayed_jobs_run_once_and_their_dead_letters_are_removed(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes
) -> None:
    processes.relay()
    processes.worker()
    ids = _failed_for_good(database, platform, 5)
    (group,) = moneyflow(environment, "failed", "groups", "--json").json["groups"]

    report = moneyflow(
        environment, "failed", "replay", "--reason", "repaired", "--group", group["group"], "--json"
    ).json
    again = moneyflow(environment, "failed", "replay", "--reason", "repaired", *ids, "--json")

    jobs.until_all(database, ids, "succeeded")
    assert (group["jobs"], group["error_class"], group["message"]) == (5, "PermanentError", "this will never work")
    assert report["results"] == {"replayed": 5}
    assert report["letters"] == {"removed": 5, "left": 0, "refused": 0, "undone": None}
    assert (again.code, again.json["results"]) == (0, {"already done": 5})
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_a_dead_letter_that_comes_after_the_replay_of_its_job_is_not_published(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes
) -> None:
    over, current = fail_jobs(database, 2, dead_letters=True)
    moneyflow(environment, "failed", "replay", "--reason", "repaired", over)

    processes.relay()

    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 1, what="the other dead letter is there")
    jobs.until_all(database, [over], "queued")
    assert moneyflow(environment, "failed", "sweep", "--json").json["removed"] == 0
    assert jobs.job(database, current)["state"] == "failed"


def test_the_rest_follows_a_canary_that_succeeds(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes
) -> None:
    processes.relay()
    processes.worker()
    ids = fail_jobs(database, 6)

    answer = moneyflow(environment, "failed", "replay", "--reason", "repaired", "--all", "--canary", 2, "--json")

    jobs.until_all(database, ids, "succeeded")
    assert (answer.code, answer.json["results"]) == (0, {"replayed": 6})
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)
    first_two = {jobs.job(database, job_id)["finished_at"] for job_id in ids[:2]}
    assert max(first_two) < min(jobs.job(database, job_id)["started_at"] for job_id in ids[2:])


def test_a_canary_that_fails_stops_the_replay_and_an_operator_may_resume_it(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes
) -> None:
    processes.relay()
    processes.worker()
    bad = fail_jobs(database, 2, ago_seconds=600, payload={"permanent": True})
    good = fail_jobs(database, 4)

    stopped = moneyflow(environment, "failed", "replay", "--reason", "repaired", "--all", "--canary", 3, "--json")
    untouched = jobs.states(database, good[1:])
    operation = stopped.json["operation"]
    resumed = moneyflow(environment, "failed", "replay", "--resume", operation["id"])

    assert (stopped.code, operation["state"], operation["open_items"]) == (1, "stopped", 3)
    assert stopped.json["results"] == {"replayed": 3, "open": 3}
    assert {job["id"] for job in stopped.json["canary"]} & {str(job_id) for job_id in bad}
    assert untouched == {"failed": 3}
    assert resumed.code == 0
    jobs.until_all(database, good, "succeeded")
    assert jobs.states(database, bad) == {"failed": 2}
    assert [len(jobs.attempts(database, job_id)) for job_id in bad] == [2, 2]


def test_a_canary_that_no_worker_runs_stops_the_replay_after_its_timeout(
    platform: AllSettings, environment: dict[str, str], database: Database
) -> None:
    ids = fail_jobs(database, 3)

    answer = moneyflow(
        environment, "failed", "replay", "--reason", "repaired", "--all", "--canary", 1, "--canary-timeout", 0.5
    )

    assert answer.code == 1
    assert jobs.states(database, ids) == {"scheduled": 1, "failed": 2}
    assert "moneyflow failed replay --resume" in answer.text
    assert str(ids[0]) in answer.text


def test_a_replay_that_was_killed_while_its_canary_ran_waits_for_it_again(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes
) -> None:
    ids = fail_jobs(database, 3, payload={"permanent": True})
    killed = moneyflow_process(environment, "failed", "replay", "--reason", "repaired", "--all", "--canary", 1)
    eventually(lambda: jobs.states(database, ids)["scheduled"] == 1, what="the canary is replayed")
    killed.kill()
    killed.communicate()
    (operation,) = moneyflow(environment, "failed", "operations", "--json").json["operations"]

    processes.relay()
    processes.worker()
    resumed = moneyflow(environment, "failed", "replay", "--resume", operation["id"], "--json")

    assert operation["state"] == "open"
    assert (resumed.code, resumed.json["operation"]["state"]) == (1, "stopped")
    assert [len(jobs.attempts(database, job_id)) for job_id in ids] == [2, 1, 1]


def test_what_kombu_moves_from_jobs_failed_to_jobs_runs_once_however_often_it_is_moved(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay()
    processes.worker()
    ids = _failed_for_good(database, platform, 3)

    with kombu_connection(platform) as connection:
        channel = connection.channel()
        producer = connection.Producer(channel)
        while (message := channel.basic_get("jobs_failed")) is not None:
            kept = {"headers": message.headers, "message_id": message.properties["message_id"]}
            for _ in range(3):
                producer.publish(message.body, "jobs", exchange="jobs", content_type="application/json", **kept)
            channel.basic_ack(message.delivery_tag)

    jobs.until_all(database, ids, "succeeded")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs") == 0, what="all copies are settled")
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)
    assert [len(jobs.attempts(database, job_id)) for job_id in ids] == [2, 2, 2]


@contextmanager
def _shovel(servers: RealServers, settings: AllSettings, name: str) -> Iterator[None]:
    """Move all that is in `jobs_failed` to `jobs`, as *Move messages* of RabbitMQ's management page does."""
    environment = servers.environment
    user, password = settings.rabbitmq_login("operator")
    uri = f"amqp://{user}:{password}@127.0.0.1:{environment['RABBITMQ_PORT']}/{settings.rabbitmq_vhost}"
    moved = {
        "src-protocol": "amqp091", "src-uri": uri, "src-queue": "jobs_failed", "src-delete-after": "queue-length",
        "src-prefetch-count": 100, "dest-protocol": "amqp091", "dest-uri": uri, "dest-queue": "jobs",
        "dest-add-forward-headers": False, "ack-mode": "on-confirm",
    }  # fmt: skip
    url = f"http://127.0.0.1:{environment['RABBITMQ_MANAGEMENT_PORT']}/api/parameters/shovel/{settings.rabbitmq_vhost}/{name}"
    with httpx.Client(auth=(user, password), timeout=20, trust_env=False) as client:
        client.put(url, json={"value": moved}).raise_for_status()
        yield
        client.delete(url)


def test_what_rabbitmqs_own_shovel_moves_runs_once(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    processes.relay()
    processes.worker()
    ids = _failed_for_good(database, platform, 3)

    with _shovel(servers, platform, "move"):
        jobs.until_all(database, ids, "succeeded")

    assert rabbitmq_admin.ready(platform, "jobs_failed") == 0
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_a_dead_letter_that_is_moved_after_the_replay_of_its_job_does_nothing(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes
) -> None:
    processes.relay()
    processes.worker()
    ids = _failed_for_good(database, platform, 2)
    moneyflow(environment, "failed", "replay", "--reason", "repaired", "--all", "--keep-letters")
    jobs.until_all(database, ids, "succeeded")

    assert rabbitmq_admin.move(platform, "jobs_failed", "jobs") == 2

    eventually(lambda: rabbitmq_admin.ready(platform, "jobs") == 0, what="both are settled")
    last = jobs.enqueue(database, LeaveEffect(rank=0))
    jobs.until_all(database, last, "succeeded")
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def _refused(settings: AllSettings, servers: RealServers, processes: Processes, *bodies: str) -> None:
    """Let a worker refuse messages that another program wrote to `jobs`."""
    for body in bodies:
        properties = {"priority": 5, "type": "send_email", "timestamp": int(time.time())}
        assert rabbitmq_admin.publish(servers, settings.rabbitmq_vhost, body, properties)
    worker = processes.worker()
    eventually(lambda: rabbitmq_admin.ready(settings, "jobs_failed") == len(bodies), what="all were refused")
    worker.kill()


@pytest.fixture
def refused(
    platform: AllSettings, servers: RealServers, processes: Processes, environment: dict[str, str], database: Database
) -> dict[str, str]:
    """Return the environment of a test in whose `jobs_failed` are refused messages and a dead letter."""
    processes.relay()
    _refused(platform, servers, processes, "no JSON", "no JSON", '{"half": "a message"}')
    fail_jobs(database, 1, dead_letters=True)
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 4, what="the dead letter is there too")
    return environment


def test_messages_that_have_no_job_are_groups_of_their_own_and_can_be_shown_raw(refused: dict[str, str]) -> None:
    groups = moneyflow(refused, "failed", "groups", "--refused", "--json").json["groups"]
    listed = moneyflow(refused, "failed", "list", "--refused", "--json").json
    text = moneyflow(refused, "failed", "list", "--refused")
    shown = moneyflow(refused, "failed", "show", groups[0]["sample_id"], "--json").json
    by_text = moneyflow(refused, "failed", "list", "--refused", "--text", "no json", "--json").json

    assert [(group["kind"], group["error_class"], group["jobs"]) for group in groups] == [
        ("(refused)", "Undecodable", 3), ("leave_effect", "UnavailableError", 1),
    ]  # fmt: skip
    assert [message["body_text"] for message in listed["messages"]] == ["no JSON", "no JSON", '{"half": "a message"}']
    assert (shown["body_text"], shown["death"]["reason"], shown["copies"]) == ('{"half": "a message"}', "rejected", 1)
    assert shown["properties"]["type"] == "send_email"
    assert by_text["total"] == 2
    assert "rejected" in text.text
    assert moneyflow(refused, "failed", "groups", "--json").json["total"] == 1


def test_a_dropped_message_is_kept_with_its_reason_and_comes_back_as_it_was(
    refused: dict[str, str], platform: AllSettings, servers: RealServers
) -> None:
    dry = moneyflow(refused, "failed", "discard", "--refused", "--all", "--dry-run", "--json").json
    dropped = moneyflow(refused, "failed", "discard", "--refused", "--text", "no json", "--reason", "junk", "--json")
    left = rabbitmq_admin.ready(platform, "jobs_failed")
    operation = dropped.json["operation"]
    restored = moneyflow(refused, "failed", "restore", "--reason", "repaired", "--operation", operation["id"], "--json")

    assert dry["results"] == {"discarded": 3}
    assert (dropped.code, dropped.json["results"]) == (0, {"discarded": 2})
    assert (operation["reason"], operation["state"]) == ("junk", "ended")
    assert left == 2
    assert (restored.code, restored.json["results"]) == (0, {"restored": 2})
    bodies = [m["payload"] for m in rabbitmq_admin.take_messages(servers, platform.rabbitmq_vhost, "jobs_failed")]
    assert bodies[0] == '{"half": "a message"}'
    assert bodies[2:] == ["no JSON", "no JSON"]
    nothing = moneyflow(refused, "failed", "restore", "--reason", "repaired", "--operation", operation["id"], "--json")
    assert nothing.json["results"] == {}


def test_a_refused_message_whose_job_has_come_is_moved_and_runs(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes, servers: RealServers
) -> None:
    relay = processes.relay()
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    jobs.until_all(database, [job_id], "queued")
    relay.kill()
    with (
        database.transaction() as session
    ):  # As though Postgres had been set back: the message is there, the job is not.
        session.execute("create temporary table kept as select * from jobs")
        session.execute("delete from jobs")
        session.commit()
        processes.worker()
        eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 1, what="the message is refused")
        (group,) = moneyflow(environment, "failed", "groups", "--refused", "--json").json["groups"]
        session.execute("insert into jobs select * from kept")

    answer = moneyflow(environment, "failed", "replay", "--refused", group["sample_id"], "--reason", "it is back")

    jobs.until_all(database, [job_id], "succeeded")
    assert group["error_class"] == "UnknownJob"
    assert answer.code == 0
    assert rabbitmq_admin.ready(platform, "jobs_failed") == 0
    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_a_message_that_is_refused_again_is_moved_once_by_each_replay(
    refused: dict[str, str], platform: AllSettings, processes: Processes
) -> None:
    processes.worker()

    answer: Answer = moneyflow(refused, "failed", "replay", "--reason", "repaired", "--refused", "--all", "--json")

    assert answer.json["results"] == {"replayed": 3}
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 4, what="all three were refused again")


@pytest.mark.parametrize("commit", [4, 5], ids=["before any message is dropped", "before the results are kept"])
def test_a_discard_of_messages_that_was_killed_is_resumed_and_loses_none(
    refused: dict[str, str], platform: AllSettings, servers: RealServers, commit: int
) -> None:
    command = ("failed", "discard", "--refused", "--all", "--reason", "junk")
    killed = moneyflow_process(refused, *command, sabotage=f"dies_at:session.before_commit:{commit}")
    _, notes = killed.communicate(timeout=60)
    (operation,) = moneyflow(refused, "failed", "operations", "--json").json["operations"]

    resumed = moneyflow(refused, "failed", "discard", "--resume", operation["id"], "--json")
    left = rabbitmq_admin.ready(platform, "jobs_failed")
    restored = moneyflow(refused, "failed", "restore", "--reason", "repaired", "--operation", operation["id"], "--json")

    assert (killed.returncode, operation["state"], operation["open_items"]) == (-9, "open", 3), notes
    assert (resumed.code, resumed.json["results"]) == (0, {"discarded": 3})
    assert left == 1
    assert restored.json["results"] == {"restored": 3}
    bodies = [m["payload"] for m in rabbitmq_admin.take_messages(servers, platform.rabbitmq_vhost, "jobs_failed")]
    assert sorted(bodies[1:]) == sorted(["no JSON", "no JSON", '{"half": "a message"}'])


def test_of_two_operators_who_discard_one_message_one_does(refused: dict[str, str], platform: AllSettings) -> None:
    (name,) = {one["sample_id"] for one in moneyflow(refused, "failed", "groups", "--refused", "--json").json["groups"]
               if one["jobs"] == 3}  # fmt: skip
    command = ("failed", "discard", "--refused", name, "--reason", "junk")
    late = moneyflow_process(refused, *command, sabotage="dies_at:session.before_commit:3")
    late.communicate(timeout=60)
    (frozen,) = moneyflow(refused, "failed", "operations", "--json").json["operations"]

    first = moneyflow(refused, *command, "--json")
    second = moneyflow(refused, "failed", "discard", "--resume", frozen["id"], "--json")
    missing = moneyflow(refused, *command, "--json")

    assert (first.code, first.json["results"]) == (0, {"discarded": 1})
    assert (second.code, second.json["results"]) == (0, {"already done": 1})
    assert (missing.code, missing.json["results"]) == (2, {"not found": 1})
    assert rabbitmq_admin.ready(platform, "jobs_failed") == 3
