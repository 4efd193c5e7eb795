"""The fault suite's judge: it sees what is lost, doubled, invented, stuck or crooked, and nothing where all is well."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tests.chaos.requested import Answer, Order, Request
from tests.chaos.verdict import Found, judge
from tests.support.deeds import Deed, DoomedDeed

_ID, _OTHER = UUID(int=1), UUID(int=2)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _job(job_id: UUID = _ID, token: str = "a", **changes: Any) -> dict[UUID, dict[str, Any]]:
    row = {"id": job_id, "kind": "deed", "state": "succeeded", "attempt": 1, "payload": {"token": token}}
    return {job_id: row | {"result": {"token": token}, "started_at": _NOW, "finished_at": _NOW} | changes}


def _attempt(outcome: str = "succeeded", attempt: int = 1) -> dict[str, Any]:
    return {"outcome": outcome, "attempt": attempt}


def _wrong(
    job: Deed | DoomedDeed | None = None, answer: Answer = Answer.ACCEPTED, **changes: Any
) -> dict[str, list[str]]:
    """Judge a round of one request, in which all is well but for what is changed."""
    well: dict[str, Any] = {
        "jobs": _job(), "attempts": {_ID: [_attempt()]}, "effects": Counter({_ID: 1}), "requests": Counter({7: 1}),
        "users": Counter(), "dead_letters": set(),
    }  # fmt: skip
    request = Request(7, (Order(job or Deed(token="a")),), answer=answer)
    return judge(Found(**well | changes), [request]).wrong()


_NOTHING: dict[str, Any] = {"jobs": {}, "attempts": {}, "effects": Counter(), "requests": Counter()}
_TWO_JOBS = {"jobs": _job() | _job(_OTHER), "attempts": {_ID: [_attempt()], _OTHER: [_attempt()]}}
_FAILED: dict[str, Any] = {
    "jobs": _job(state="failed", result=None), "attempts": {_ID: [_attempt("failed")]}, "effects": Counter(),
}  # fmt: skip


def test_nothing_is_wrong_where_all_is_well() -> None:
    assert _wrong() == {}
    assert _wrong(DoomedDeed(token="a"), **_FAILED, dead_letters={str(_ID)}) == {}
    assert _wrong(Deed(token="a", writes=False), effects=Counter()) == {}


@pytest.mark.parametrize(
    ("kind", "answer", "changes"),
    [
        ("lost", Answer.ACCEPTED, _NOTHING),
        ("lost", Answer.ACCEPTED, {"effects": Counter()}),
        ("lost", Answer.ACCEPTED, _FAILED),
        ("lost", Answer.NONE, {"effects": Counter()}),
        ("doubled", Answer.ACCEPTED, {"effects": Counter({_ID: 2})}),
        ("doubled", Answer.ACCEPTED, {**_TWO_JOBS, "effects": Counter({_ID: 1, _OTHER: 1})}),
        ("doubled", Answer.ACCEPTED, {"requests": Counter({7: 2})}),
        ("invented", Answer.REFUSED, {}),
        ("invented", Answer.ACCEPTED, {"effects": Counter({_ID: 1, _OTHER: 1})}),
        ("stuck", Answer.ACCEPTED, {"jobs": _job(state="running")}),
        ("crooked", Answer.ACCEPTED, {"jobs": _job(attempt=2)}),
        ("crooked", Answer.ACCEPTED, {"attempts": {_ID: [_attempt(), _attempt(attempt=2)]}}),
        ("crooked", Answer.ACCEPTED, {"dead_letters": {str(_ID)}}),
        ("crooked", Answer.ACCEPTED, {"jobs": _job(result={"token": "another"})}),
        ("crooked", Answer.NONE, {**_NOTHING, "requests": Counter({7: 1})}),
    ],
)
def test_what_is_wrong_is_seen(kind: str, answer: Answer, changes: dict[str, Any]) -> None:
    assert kind in _wrong(answer=answer, **changes)


def test_a_request_without_an_answer_may_be_there_or_not() -> None:
    assert _wrong(answer=Answer.NONE) == {}
    assert _wrong(answer=Answer.NONE, **_NOTHING) == {}


def test_a_failed_job_has_its_dead_letter() -> None:
    assert "crooked" in _wrong(DoomedDeed(token="a"), **_FAILED)
    assert _wrong(DoomedDeed(token="a"), **_FAILED, dead_letters=None) == {}
