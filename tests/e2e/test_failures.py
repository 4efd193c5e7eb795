"""Jobs that fail: retried when due, and put on `jobs_failed` with their reason when nothing helps."""

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually


def test_a_job_that_fails_twice_succeeds_at_its_third_attempt_and_keeps_all_three(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    (job_id,) = jobs.enqueue(database, LeaveEffect(failures=2))

    jobs.until_all(database, [job_id], "succeeded")

    history = jobs.attempts(database, job_id)
    assert [(attempt["attempt"], attempt["outcome"]) for attempt in history] == [
        (1, "retried"), (2, "retried"), (3, "succeeded"),
    ]  # fmt: skip
    assert history[0]["error_class"] == "UnavailableError"
    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_exhausted_and_permanent_failures_are_on_jobs_failed_with_their_reason_and_no_secret(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    exhausted, permanent = jobs.enqueue(database, LeaveEffect(failures=99), LeaveEffect(permanent=True))
    jobs.until_all(database, [exhausted, permanent], "failed")

    found: dict[str, dict[str, object]] = {}

    def both() -> bool:
        for message in rabbitmq_admin.take_messages(servers, platform.rabbitmq_vhost, "jobs_failed"):
            found[message["properties"]["message_id"]] = message
        return len(found) == 2

    eventually(both, what="both dead letters are on jobs_failed")
    properties = {key: message["properties"] for key, message in found.items()}
    headers = {key: value["headers"] for key, value in properties.items()}  # type: ignore[index]
    assert headers[str(exhausted)]["x-attempts"] == LeaveEffect.retry.attempts
    assert headers[str(exhausted)]["x-error-class"] == "UnavailableError"
    assert headers[str(permanent)]["x-attempts"] == 1
    assert headers[str(permanent)]["x-error-message"] == "this will never work"
    assert "Traceback" in headers[str(permanent)]["x-error-traceback"]
    assert headers[str(permanent)]["x-worker"]
    assert headers[str(permanent)]["x-failed-at"].endswith("Z")
    assert properties[str(permanent)]["type"] == "leave_effect"  # type: ignore[index]
    assert properties[str(permanent)]["delivery_mode"] == 2  # type: ignore[index]
    assert "hunter22" not in str(found)


def test_a_dead_letter_that_is_moved_back_replays_its_job_once_however_many_copies_are_moved(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay()
    processes.worker()
    (job_id,) = jobs.enqueue(database, LeaveEffect(permanent=True))
    jobs.until_all(database, [job_id], "failed")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 1, what="its dead letter is there")

    assert rabbitmq_admin.move(platform, "jobs_failed", "jobs", copies=2) == 1
    eventually(lambda: len(jobs.attempts(database, job_id)) == 2, what="it was tried once more")

    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 1, what="its second dead letter is there")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs") == 0, what="the copy was settled too")
    assert len(jobs.attempts(database, job_id)) == 2
    assert jobs.job(database, job_id)["state"] == "failed"
