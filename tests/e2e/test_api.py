"""The HTTP interface as a frontend sees it, served by gunicorn on real servers."""

import re
import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.platform.http.idempotency import IdempotencyKeys
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.store import batches as store
from moneyflow.settings import AllSettings
from tests.support import callers, jobs
from tests.support.effects import LeaveEffect
from tests.support.processes import Process, Processes
from tests.support.servers import Fleet, fresh_environment
from tests.support.waiting import eventually

_PERSON = {"email": "ada@mail.example", "name": "Ada Lovelace", "password": "correct horse battery"}


@pytest.fixture(scope="module")
def environment(fleet: Fleet) -> Iterator[dict[str, str]]:
    """Return the environment of an API and a database that all tests of this module share."""
    with fresh_environment(fleet.shared) as environment:
        yield environment


@pytest.fixture(scope="module")
def running(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start the API once."""
    with Processes(environment, tmp_path_factory.mktemp("api")) as processes:
        yield processes.api()


@pytest.fixture
def administrator(api: httpx.Client, settings: AllSettings) -> httpx.Client:
    """Return the client as an administrator has it."""
    api.headers.update(callers.administrator(settings))
    return api


@pytest.fixture
def api(running: Process, fleet: Fleet, settings: AllSettings) -> Iterator[httpx.Client]:
    """Return a client of the running API, which has no users yet."""
    conninfo = make_conninfo(fleet.shared.postgres.superuser_conninfo(), dbname=settings.postgres_db)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("truncate users, jobs, batches, idempotency_keys cascade")
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=15, trust_env=False, verify=False) as client:
        yield client


def _count(database: Database, table: str) -> int:
    with database.transaction() as session:
        row = session.fetch_one(f"select count(*) as rows from {table}")
    assert row is not None
    rows: int = row["rows"]
    return rows


def test_a_sign_up_is_answered_with_the_address_of_its_job(api: httpx.Client, database: Database) -> None:
    answer = api.post("/v1/users", json=_PERSON)

    assert answer.status_code == 202
    job = api.get(answer.headers["Location"]).json()
    assert job == {"id": answer.json()["job_id"], "state": "accepted"}
    assert (_count(database, "users"), _count(database, "jobs"), _count(database, "job_attempts")) == (1, 1, 0)


def _batch(database: Database, count: int) -> tuple[uuid.UUID, list[uuid.UUID], uuid.UUID]:
    """Return a sealed batch, its members and its end job."""
    with database.transaction() as session:
        batch_id = batches.open(session, name="balances of May", on_end=Purge())
        members = batches.add(session, batch_id, [LeaveEffect() for _ in range(count)])
        batches.seal(session, batch_id)
        end_job_id = batches.status(session, batch_id).end_job_id
    assert end_job_id is not None
    return batch_id, members, end_job_id


def test_a_batch_shows_its_counts_and_its_progress_and_so_does_its_end_job(
    administrator: httpx.Client, database: Database
) -> None:
    batch_id, members, end_job_id = _batch(database, 4)
    jobs.change(database, members[0], state="succeeded")
    jobs.change(database, members[1], state="failed")

    batch = administrator.get(f"/v1/batches/{batch_id}")
    end_job = administrator.get(f"/v1/jobs/{end_job_id}").json()

    assert batch.status_code == 200
    assert batch.json()["created_at"] is not None
    assert {name: value for name, value in batch.json().items() if name != "created_at"} == {
        "id": str(batch_id), "state": "open", "sealed": True, "counts": {"scheduled": 2, "succeeded": 1, "failed": 1},
        "progress": {"done": 2, "total": 4, "note": None}, "refused": [], "end_job_id": str(end_job_id),
        "ended_at": None,
    }  # fmt: skip
    assert (end_job["state"], end_job["progress"], end_job["due_at"]) == (
        "scheduled", {"done": 2, "total": 4, "note": None}, None,
    )  # fmt: skip
    assert "balances" not in batch.text


def test_a_batch_that_has_ended_keeps_its_counts_and_its_end_job_is_due(
    administrator: httpx.Client, database: Database
) -> None:
    batch_id, members, end_job_id = _batch(database, 2)
    for member in members:
        jobs.change(database, member, state="succeeded")
    with database.transaction() as session:
        ids = [row["id"] for row in session.fetch_all(store.QUERIES["lock_finished"], {"limit": 10})]
        session.execute(store.QUERIES["end"], {"ids": ids})

    batch, end_job = (
        administrator.get(f"/v1/batches/{batch_id}").json(),
        administrator.get(f"/v1/jobs/{end_job_id}").json(),
    )

    assert (batch["state"], batch["counts"], batch["progress"]["done"]) == ("ended", {"succeeded": 2}, 2)
    assert batch["ended_at"] is not None
    assert (end_job["state"], end_job["progress"]) == ("scheduled", None)
    assert end_job["due_at"] is not None


@pytest.mark.parametrize("found", ["0197c0de-0000-7000-8000-000000000000", "one", "1", "%00"])
def test_a_batch_that_there_is_not_is_not_found(administrator: httpx.Client, found: str) -> None:
    answer = administrator.get(f"/v1/batches/{found}")

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value


def test_every_time_is_written_to_the_second_in_utc(administrator: httpx.Client, database: Database) -> None:
    batch_id, members, end_job_id = _batch(database, 1)
    with database.transaction() as session:
        session.execute("update jobs set started_at = now(), finished_at = now()")
        session.execute("update batches set ended_at = now()")
    paths = [f"/v1/batches/{batch_id}", f"/v1/jobs/{members[0]}", f"/v1/jobs/{end_job_id}"]

    texts = [text for path in paths for text in _texts(administrator.get(path).json())]

    times = [text for text in texts if re.match(r"\d{4}-\d\d-\d\dT", text)]
    assert len(times) == 9
    assert [time for time in times if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time)] == []


def test_a_known_and_an_unknown_address_get_the_same_answer(api: httpx.Client, database: Database) -> None:
    first = api.post("/v1/users", json=_PERSON)
    second = api.post("/v1/users", json=_PERSON | {"email": "ADA@mail.example"})

    varying = {"location", "x-request-id", "date", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"}
    assert (first.status_code, first.json().keys()) == (second.status_code, second.json().keys())
    assert {k: v for k, v in first.headers.items() if k not in varying} == {
        k: v for k, v in second.headers.items() if k not in varying
    }
    assert _count(database, "users") == 1
    assert _count(database, "jobs") == 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "no address"}, "/email"),
        ({"name": "a\r\nBcc: everybody@mail.example"}, "/name"),
        ({"name": "   "}, "/name"),
        ({"password": "short"}, "/password"),
        ({"admin": True}, "/admin"),
        ({"email": 7}, "/email"),
    ],
)
def test_invalid_input_is_named_by_its_pointer_and_writes_nothing(
    api: httpx.Client, database: Database, change: dict[str, object], pointer: str
) -> None:
    answer = api.post("/v1/users", json=_PERSON | change)

    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert problem["instance"] == answer.headers["X-Request-Id"]
    assert _PERSON["password"] not in answer.text
    assert _count(database, "users") == 0


def test_every_error_is_a_problem(api: httpx.Client) -> None:
    json_body = {"Content-Type": "application/json"}
    answers = {
        404: api.get("/nowhere"),
        405: api.put("/v1/users", json={}),
        400: api.post("/v1/users", content=b'{"email": ', headers=json_body),
        413: api.post("/v1/users", content=b" " * 70_000, headers=json_body),
        415: api.post("/v1/users", content=b"{}", headers={"Content-Type": "text/plain"}),
        422: api.post("/v1/users/activation", json={"token": "unknown"}),
    }

    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["detail"]
        assert problem["instance"]
    assert answers[405].headers["Allow"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /healthz HTTP/1.1\r\n", b"400"),
        ("GET /healthz HTTP/1.1\r\nHost: api.example\r\n", b"200"),
        ("GET /healthz HTTP/1.0\r\n", b"200"),
        ("WEBSOCKET /healthz HTTP/1.1\r\nHost: api.example\r\n", b"400"),
        ("HEAD /healthz HTTP/1.1\r\nHost: api.example\r\n", b"200"),
    ],
)
def test_what_no_client_library_sends_is_answered_by_the_rules_of_http(
    running: Process, head: str, status: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=15) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    headers, _, body = answer.partition(b"\r\n\r\n")
    assert headers.split(b" ")[1] == status
    assert b"x-content-type-options: nosniff" in headers.lower()
    assert b"x-request-id: " in headers.lower()
    if status == b"400":
        assert b"content-type: application/problem+json" in headers.lower()
    assert bool(body) is not head.startswith("HEAD")


def test_an_oversized_body_without_a_length_is_refused_too(api: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    answer = api.post("/v1/users", content=pieces(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


@pytest.mark.parametrize("body", ['{"email": NaN}', "[" * 5000 + "]" * 5000, '{"name": "\\ud800"}', '"\xff"'])
def test_json_that_would_hurt_a_parser_is_malformed(api: httpx.Client, body: str) -> None:
    answer = api.post("/v1/users", content=body.encode("latin-1"), headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["title"] == "Bad Request"


def test_a_request_under_the_same_idempotency_key_is_done_once(api: httpx.Client, database: Database) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = api.post("/v1/users", json=_PERSON, headers=key)
    again = api.post("/v1/users", json=_PERSON, headers=key)
    other = api.post("/v1/users", json=_PERSON | {"name": "Somebody Else"}, headers=key)

    assert again.status_code == 202
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert other.status_code == 422
    assert "another body" in other.json()["detail"]
    assert _count(database, "jobs") == 1


def test_a_request_whose_key_is_in_use_is_a_conflict(
    api: httpx.Client, database: Database, settings: AllSettings
) -> None:
    keys = IdempotencyKeys(secret_key=settings.secret_key.get_secret_value())
    with database.transaction() as session:
        assert keys.request(key="in-work", scope="POST /v1/users", content=b"").first_answer(session) is None

        answer = api.post("/v1/users", json=_PERSON, headers={"Idempotency-Key": "in-work"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")


def test_64_clients_with_one_key_get_one_answer_and_have_one_effect(api: httpx.Client, database: Database) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first_answers: list[int] = []

    def sign_up(number: int) -> httpx.Response:
        """Repeat the request, with its members in another order, as its answers say."""
        members = list(_PERSON.items())
        body = dict(members[number % 3 :] + members[: number % 3])
        with httpx.Client(base_url=api.base_url, timeout=30, trust_env=False, verify=False) as client:
            answer = client.post("/v1/users", json=body, headers=key)
            first_answers.append(answer.status_code)
            while answer.status_code in {409, 503}:
                time.sleep(int(answer.headers["Retry-After"]))
                answer = client.post("/v1/users", json=body, headers=key)
        return answer

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(sign_up, range(64)))

    assert {answer.status_code for answer in answers} == {202}, first_answers
    assert len({(answer.content, answer.headers["Location"]) for answer in answers}) == 1
    assert (_count(database, "users"), _count(database, "jobs"), _count(database, "idempotency_keys")) == (1, 1, 1)


def test_the_request_id_travels_to_the_answer_the_job_and_the_event(api: httpx.Client, database: Database) -> None:
    answer = api.post("/v1/users", json=_PERSON, headers={"X-Request-Id": "from-the-frontend-1"})
    unusable = api.get("/healthz", headers={"X-Request-Id": 'a"b'})

    with database.transaction() as session:
        job = session.fetch_one("select correlation_id, traceparent from jobs")
    assert answer.headers["X-Request-Id"] == "from-the-frontend-1"
    assert job is not None
    assert job["correlation_id"] == "from-the-frontend-1"
    assert job["traceparent"].startswith("00-")
    assert uuid.UUID(unusable.headers["X-Request-Id"]).version == 7


def test_an_unknown_job_is_not_found(api: httpx.Client) -> None:
    assert api.get(f"/v1/jobs/{uuid.uuid4()}").status_code == 404
    assert api.get("/v1/jobs/not-an-id").status_code == 404


def test_at_most_a_quarter_of_the_threads_wait_and_all_others_are_answered_at_once(
    administrator: httpx.Client, database: Database
) -> None:
    (job_id,) = jobs.enqueue(database, Purge())
    answers: list[httpx.Response] = []

    def wait() -> None:
        path = f"{administrator.base_url}/v1/jobs/{job_id}?wait=20"
        answers.append(httpx.get(path, headers=administrator.headers, timeout=30, trust_env=False, verify=False))

    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(wait) for _ in range(16)]
        eventually(lambda: len(answers) >= 12, what="all but four of two processes with eight threads are answered")
        at_once = list(answers)
        assert administrator.get("/healthz").status_code == 200
        jobs.change(database, job_id, state="succeeded")
        for one in waiting:
            one.result()

    waited = [answer.json()["state"] for answer in answers if "Retry-After" not in answer.headers]
    assert all(int(answer.headers["Retry-After"]) >= 5 for answer in at_once)
    assert 1 <= len(waited) <= 4
    assert set(waited) == {"succeeded"}


def test_metrics_count_the_requests_of_all_processes_by_route(api: httpx.Client) -> None:
    counted = 'moneyflow_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"}'
    before = _metric(api, counted)

    for _ in range(10):
        api.get(f"/v1/jobs/{uuid.uuid4()}")

    assert _metric(api, counted) == before + 10
    assert "moneyflow_http_request_seconds_bucket" in api.get("/metrics").text


def _metric(api: httpx.Client, name: str) -> float:
    lines = api.get("/metrics").text.splitlines()
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


def test_a_wrong_configuration_ends_the_api_with_one_clear_message(settings: AllSettings, processes: Processes) -> None:
    with pytest.raises(AssertionError, match="SECRET_KEY"):
        processes.api(SECRET_KEY="short")
