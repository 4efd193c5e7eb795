"""Answers: status, headers and JSON body as a value; 304 for what the client has; 412 for what it has not seen."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import falcon
import falcon.testing
import orjson
import psycopg
import pytest

from api.access import Access
from api.answers import send
from api.headers import default_headers
from api.problems import install_problems
from api.requests import require_match
from moneyflow.platform.errors import (
    BusyError,
    ConflictError,
    FenceLostError,
    InvalidInputError,
    MoneyFlowError,
    NotFoundError,
    PreconditionFailedError,
    PreconditionRequiredError,
    UnavailableError,
)
from moneyflow.platform.http.answers import Answer, json_answer

_ROOT = Path(__file__).parents[2]


class Thing:
    """A resource with a version."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        send(request, response, self.answer)

    def on_patch(self, request: falcon.Request, response: falcon.Response) -> None:
        require_match(request, self.answer.headers["ETag"])
        send(request, response, self.answer)


def _client(resource: object) -> falcon.testing.TestClient:
    app = falcon.App(middleware=[Access(default_headers(is_https=True))])
    install_problems(app, lambda _: None)
    app.add_route("/thing", resource)
    return falcon.testing.TestClient(app)


def test_an_answer_is_sent_with_its_status_headers_and_body() -> None:
    client = _client(Thing(json_answer({"id": 7}, status=201, headers={"Location": "/thing/7"}, etag='"1"')))

    answer = client.simulate_get("/thing")

    assert (answer.status, answer.json) == ("201 Created", {"id": 7})
    assert (answer.headers["location"], answer.headers["etag"]) == ("/thing/7", '"1"')
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("header", "status"),
    [('"2"', 304), ('W/"2"', 304), ('"1", "2"', 304), ("*", 304), ('"1"', 200), ('"22"', 200), ("2", 200), ("", 200)],
)
def test_a_read_of_the_state_that_the_client_has_is_answered_without_a_body(header: str, status: int) -> None:
    answer = _client(Thing(json_answer({"id": 7}, etag='"2"'))).simulate_get(
        "/thing", headers={"If-None-Match": header}
    )

    assert (answer.status_code, answer.content == b"") == (status, status == 304)
    assert answer.headers["etag"] == '"2"'


@pytest.mark.parametrize(
    ("header", "status"),
    [('"2"', 200), ('"1", "2"', 200), ("*", 200), ('W/"2"', 412), ('"1"', 412), ("", 412), (None, 428)],
)
def test_an_update_is_taken_only_of_the_state_that_the_client_has_read(header: str | None, status: int) -> None:
    headers = {} if header is None else {"If-Match": header}

    answer = _client(Thing(json_answer({}, etag='"2"'))).simulate_patch("/thing", headers=headers)

    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInputError("x"), 422),
        (NotFoundError("x"), 404),
        (ConflictError("x"), 409),
        (PreconditionFailedError("x"), 412),
        (PreconditionRequiredError("x"), 428),
        (BusyError("x", retry_after_seconds=9), 503),
        (UnavailableError("secret address"), 503),
        (psycopg.errors.DeadlockDetected("secret address"), 503),
        (psycopg.errors.LockNotAvailable("secret address"), 503),
        (psycopg.errors.UniqueViolation("secret address"), 500),
        (FenceLostError("secret address"), 500),
        (MoneyFlowError("secret address"), 500),
        (ZeroDivisionError("secret address"), 500),
    ],
)
def test_each_error_of_the_tree_has_its_status_and_says_no_more_than_it_may(error: Exception, status: int) -> None:
    class Failing:
        def on_get(self, _: falcon.Request, __: falcon.Response) -> None:
            raise error

    answer = _client(Failing()).simulate_get("/thing")

    assert (answer.status_code, answer.json["status"]) == (status, status)
    assert "secret" not in answer.text
    assert (answer.headers.get("retry-after") is not None) == (status == 503)


def test_times_and_ids_are_written_in_one_form_wherever_they_are() -> None:
    berlin = timezone(timedelta(hours=2))
    value = {"at": datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC), "in": [datetime(2026, 7, 1, 2, tzinfo=berlin)]}

    answer = json_answer({**value, "id": UUID(int=7), "ended_at": None})

    assert orjson.loads(answer.body) == {
        "at": "2026-01-02T03:04:05Z", "in": ["2026-07-01T00:00:00Z"], "id": str(UUID(int=7)), "ended_at": None,
    }  # fmt: skip


def test_an_answer_refuses_what_has_no_form() -> None:
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        json_answer({"thing": object()})


def test_no_resource_writes_a_time_on_its_own() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (_ROOT / "api").rglob("*.py")}

    assert [path for path, source in sources.items() if "rfc3339" in source or "isoformat" in source] == []
