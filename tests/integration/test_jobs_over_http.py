"""`/v1/jobs/{id}` and `/v1/batches/{id}`: an owner sees the state, a stranger nothing that reveals an account."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import falcon.testing
import pytest
from psycopg.types.json import Jsonb

from api.app import create_app
from moneyflow.jobs.purge import Purge
from moneyflow.jobs.send_email import SendEmail
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.telemetry.origin import Origin, working_for
from moneyflow.settings import AllSettings
from tests.support import callers, people
from tests.support.servers import RealServers
from tests.support.services import services

_ANONYMOUS = Origin(is_anonymous=True)
_NO_OWNER = Origin()


@dataclass
class Api:
    """The application in this process, and its database."""

    client: falcon.testing.TestClient
    database: Database
    settings: AllSettings

    def get(self, path: str, *, by: dict[str, str] | None = None) -> falcon.testing.Result:
        return self.client.simulate_get(path, headers=by or {})

    def job(self, *, asked_by: Origin, job: Job | None = None) -> UUID:
        """Enqueue a job as a request, or another job, would."""
        with self.database.transaction() as session, working_for(asked_by):
            return enqueue(session, job or Purge())

    def change(self, job_id: UUID, **columns: Any) -> None:
        with self.database.transaction() as session:
            for name, value in columns.items():
                session.execute(f"update jobs set {name} = %(value)s where id = %(id)s", {"value": value, "id": job_id})

    def ended(
        self, job_id: UUID, *, accepted_before: float, started_after: float, ran_for: float, outcome: str = "succeeded"
    ) -> None:
        """Let a job have been accepted so many seconds ago, and its first attempt have started and ended later."""
        with self.database.transaction() as session:
            times = {
                "id": job_id,
                "before": accepted_before,
                "after": started_after,
                "ran": ran_for,
                "outcome": outcome,
            }
            session.execute(
                "update jobs set enqueued_at = clock_timestamp() - make_interval(secs => %(before)s) where id = %(id)s",
                times,
            )
            session.execute(
                "insert into job_attempts (job_id, fence, attempt, worker, started_at, ended_at, outcome) "
                "select id, 1, 1, 'w', enqueued_at + make_interval(secs => %(after)s), "
                "enqueued_at + make_interval(secs => %(after)s + %(ran)s), %(outcome)s from jobs where id = %(id)s",
                times,
            )


@pytest.fixture
def api(servers: RealServers, settings: AllSettings, database: Database) -> Api:
    assert servers.redis.identity(), "it runs"
    return Api(falcon.testing.TestClient(create_app(services(settings, database))), database, settings)


def test_the_owner_and_an_administrator_see_the_state_of_a_job(api: Api) -> None:
    owner_id = new_id()
    job_id = api.job(asked_by=Origin(actor_id=str(owner_id)))
    api.change(job_id, state="running", attempt=2, progress=Jsonb({"done": 1, "total": 4, "note": "rows"}))

    own = api.get(f"/v1/jobs/{job_id}", by=callers.bearer(api.settings, user_id=owner_id))
    administrators = api.get(f"/v1/jobs/{job_id}", by=callers.administrator(api.settings))

    assert own.json.keys() == {
        "id", "kind", "state", "attempt", "progress", "result", "error", "enqueued_at", "due_at", "started_at",
        "finished_at",
    }  # fmt: skip
    assert {name: own.json[name] for name in ("id", "kind", "state", "attempt", "progress", "error")} == {
        "id": str(job_id), "kind": "purge", "state": "running", "attempt": 2,
        "progress": {"done": 1, "total": 4, "note": "rows"}, "error": None,
    }  # fmt: skip
    assert administrators.json == own.json


@pytest.mark.parametrize("asked_by", [_NO_OWNER, Origin(actor_id=str(new_id()))], ids=["no request", "another user"])
def test_a_job_of_another_user_or_of_no_request_is_answered_like_a_missing_one(api: Api, asked_by: Origin) -> None:
    job_id = api.job(asked_by=asked_by)

    for by in ({}, callers.bearer(api.settings)):
        foreign, missing = api.get(f"/v1/jobs/{job_id}", by=by), api.get(f"/v1/jobs/{new_id()}", by=by)
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert {**foreign.json, "instance": "", "detail": foreign.json["detail"].replace(str(job_id), "")} == {
            **missing.json, "instance": "", "detail": foreign.json["detail"].replace(str(job_id), ""),
        }  # fmt: skip
    assert api.get(f"/v1/jobs/{job_id}", by=callers.administrator(api.settings)).status_code == 200


def test_a_wrong_bearer_token_is_refused_and_a_cookie_of_an_ended_session_is_no_session(api: Api) -> None:
    job_id = api.job(asked_by=_ANONYMOUS)

    assert api.get(f"/v1/jobs/{job_id}", by={"Authorization": "Bearer wrong"}).status_code == 401
    assert api.get(f"/v1/jobs/{job_id}", by={"Cookie": "__Host-session=ended"}).json["state"] == "accepted"


@pytest.mark.parametrize(
    ("columns", "outcome"),
    [
        ({"state": "succeeded", "result": Jsonb({"sent": True})}, "succeeded"),
        ({"state": "succeeded", "result": Jsonb({"sent": False, "outcome": "bounced", "code": 550})}, "succeeded"),
        ({"state": "failed", "error_class": "PermanentError", "error_message": "550 no such mailbox here"}, "failed"),
        ({"state": "scheduled", "attempt": 1, "error_class": "UnavailableError", "error_message": "4"}, "retried"),
    ],
    ids=["sent", "bounced", "failed", "deferred"],
)
def test_a_stranger_sees_that_a_job_was_accepted_and_later_done_and_not_how_it_ended(
    api: Api, columns: dict[str, Any], outcome: str
) -> None:
    job_id = api.job(asked_by=_ANONYMOUS)
    path = f"/v1/jobs/{job_id}"
    before = api.get(path).json
    api.change(job_id, **columns)
    api.ended(job_id, accepted_before=8, started_after=0.1, ran_for=1, outcome=outcome)

    seen = [api.get(path).json, api.get(path, by=callers.bearer(api.settings)).json]

    assert before == {"id": str(job_id), "state": "accepted"}
    assert seen == [{"id": str(job_id), "state": "done"}] * 2
    assert api.get(path, by=callers.administrator(api.settings)).json["kind"] == "purge"


@pytest.mark.parametrize(
    ("accepted_before", "started_after", "state"),
    [(3, 0.001, "accepted"), (3, 2.9, "accepted"), (5.2, 0.001, "done"), (5.2, 4.8, "done"), (8, 6, "accepted")],
)
def test_when_a_stranger_sees_it_done_does_not_show_when_it_ran(
    api: Api, accepted_before: float, started_after: float, state: str
) -> None:
    job_id = api.job(asked_by=_ANONYMOUS)
    api.change(job_id, state="succeeded")
    api.ended(job_id, accepted_before=accepted_before, started_after=started_after, ran_for=0.01)

    assert api.get(f"/v1/jobs/{job_id}").json["state"] == state


def test_a_mail_server_that_takes_long_does_not_show_that_there_is_a_mail_to_send(api: Api) -> None:
    at_once, running = api.job(asked_by=_ANONYMOUS), api.job(asked_by=_ANONYMOUS)
    api.change(at_once, state="succeeded")
    api.ended(at_once, accepted_before=5.2, started_after=0.1, ran_for=0.01)
    long_ago = datetime.now(UTC) - timedelta(seconds=5.2)
    api.change(running, state="running", enqueued_at=long_ago, started_at=long_ago + timedelta(seconds=0.1))

    assert [api.get(f"/v1/jobs/{job_id}").json["state"] for job_id in (at_once, running)] == ["done", "done"]


def test_an_owner_reads_a_code_and_a_sentence_and_the_text_of_the_error_is_for_operators(api: Api) -> None:
    owner_id = new_id()
    job_id = api.job(asked_by=Origin(actor_id=str(owner_id)))
    by = callers.bearer(api.settings, user_id=owner_id)
    codes = {}
    for error_class in (
        "UnavailableError", "PostgresDownError", "InvalidResultError", "NotFoundError", "Fail", "RetryIn",
        "WorkerLostError", "KeyError",
    ):  # fmt: skip
        api.change(job_id, state="failed", error_class=error_class, error_message="550 no such mailbox here")
        answer = api.get(f"/v1/jobs/{job_id}", by=by)
        codes[error_class] = answer.json["error"]["code"]
        assert answer.json["error"].keys() == {"code", "message"}
        assert "mailbox" not in answer.text
        assert error_class not in answer.text

    assert codes == {
        "UnavailableError": "service_unavailable", "PostgresDownError": "service_unavailable",
        "InvalidResultError": "internal_error", "NotFoundError": "not_found", "Fail": "not_possible",
        "RetryIn": "not_ready", "WorkerLostError": "interrupted", "KeyError": "internal_error",
    }  # fmt: skip


def test_a_result_shows_what_its_contract_makes_public(api: Api) -> None:
    owner_id = new_id()
    asked_by, by = Origin(actor_id=str(owner_id)), callers.bearer(api.settings, user_id=owner_id)
    mail = api.job(asked_by=asked_by, job=SendEmail(template="activation", user_id=owner_id))
    other, unknown = api.job(asked_by=asked_by), api.job(asked_by=asked_by)
    bounced = {"sent": False, "outcome": "bounced", "code": 550, "reason": "no such mailbox"}
    for job_id in (mail, other, unknown):
        api.change(job_id, state="succeeded", result=Jsonb(bounced))
    api.change(unknown, kind="of_a_newer_version")

    results = [api.get(f"/v1/jobs/{job_id}", by=by).json["result"] for job_id in (mail, other, unknown)]

    assert results == [{"sent": False}, bounced, None]


def test_known_and_unknown_addresses_leave_jobs_that_a_stranger_cannot_tell_apart(api: Api) -> None:
    ada = people.sign_up(api.database, name="Ada")
    seen = []
    for email in (ada.email, "eve@mail.example"):
        answer = api.client.simulate_post("/v1/users/activation/resend", json={"email": email})
        job_id = answer.json["job_id"]
        seen.append({**api.get(f"/v1/jobs/{job_id}").json, "id": "", "status": answer.status_code})

    assert seen == [{"id": "", "state": "accepted", "status": 202}] * 2


def test_a_job_that_a_signed_in_user_leaves_belongs_to_that_user(api: Api) -> None:
    ada = people.sign_up(api.database, name="Ada")
    by = callers.bearer(api.settings, user_id=ada.user_id)
    change = {"current_password": "correct horse battery", "password": "a better horse battery"}

    changed = api.client.simulate_put("/v1/users/me/password", json=change, headers=by)

    with api.database.transaction() as session:
        (row,) = session.fetch_all("select id, owner_id from jobs where payload->>'template' = 'password_changed'")
    assert (changed.status_code, row["owner_id"]) == (204, ada.user_id)
    again = callers.bearer(api.settings, user_id=ada.user_id)
    assert api.get(f"/v1/jobs/{row['id']}", by=again).json["state"] == "scheduled"


def test_a_batch_is_read_by_its_owner_and_by_administrators(api: Api) -> None:
    owner_id = new_id()
    with api.database.transaction() as session, working_for(Origin(actor_id=str(owner_id))):
        batch_id = batches.submit(session, [Purge(), Purge()], name="people")
    path = f"/v1/batches/{batch_id}"

    readers = (callers.bearer(api.settings, user_id=owner_id), callers.administrator(api.settings))

    assert [api.get(path, by=by).status_code for by in readers] == [200, 200]
    assert api.get(path, by=callers.bearer(api.settings)).status_code == 404
    assert api.get(path).status_code == 401
