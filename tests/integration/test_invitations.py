"""Invitations in bulk: a batch of accounts, who is refused and why, and the step to a password."""

from typing import Any

import falcon.testing
import pytest

from moneyflow.jobs.create_user import CreateUser
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support.api import EMAIL, PASSWORD, Api
from workers.testing import Mailbox, new_mailbox, run_jobs

_BOB = {"email": "bob@mail.example", "name": "Bob"}
_CLEO = {"email": "cleo@mail.example", "name": "Cleo"}


@pytest.fixture
def admin(api: Api) -> Api:
    admin = api.signed_up("admin@mail.example", "An administrator", role="administrator")
    _run(api)
    return admin


def _run(api: Api) -> Mailbox:
    """Run all jobs, and return the mails that were sent."""
    mailbox = new_mailbox()
    with api.database.transaction() as session:
        run_jobs(session, kinds=["create_user", "send_email", "send_welcome"], gateways=[mailbox])
        run_jobs(session, kinds=["send_email"], gateways=[mailbox])
    return mailbox


def _invited(api: Api, admin: Api, *people: Any) -> tuple[falcon.testing.Result, Mailbox]:
    """Invite people; return the batch as it is once its jobs have run, and the mails."""
    accepted = admin.call("POST", "/v1/users/batch", {"users": list(people)})
    assert (accepted.status_code, accepted.headers["Location"]) == (202, f"/v1/batches/{accepted.json['batch_id']}")
    mailbox = _run(api)
    return admin.call("GET", accepted.headers["Location"]), mailbox


def _token(mailbox: Mailbox) -> str:
    return mailbox.sent[-1].text.partition("#token=")[2].split()[0]


def test_invited_people_get_an_account_and_a_link_and_the_batch_shows_it(api: Api, admin: Api) -> None:
    batch, mailbox = _invited(api, admin, _BOB, _CLEO)

    assert batch.json["progress"] == {"done": 2, "total": 2, "note": None}
    assert batch.json["counts"] == {"succeeded": 2}
    assert batch.json["refused"] == []
    assert [(mail.template, mail.to.address) for mail in mailbox.sent] == [
        ("invitation", "bob@mail.example"), ("invitation", "cleo@mail.example"),
    ]  # fmt: skip
    assert "/invitation#token=" in mailbox.sent[0].text
    assert [event for event, _ in api.events()[-2:]] == ["user.created"] * 2


def test_who_is_refused_is_listed_with_line_and_reason_and_stops_no_other(api: Api, admin: Api) -> None:
    api.signed_up()
    _run(api)
    people = [
        {"email": EMAIL.upper(), "name": "Ada"},
        {"email": "not an address", "name": "Dan"},
        _BOB,
        {"email": "BOB@mail.example", "name": "Bob again"},
        {"email": "eve@mail.example", "name": "see https://evil.example"},
    ]

    batch, mailbox = _invited(api, admin, *people)

    refused = [(one["line"], one["reason"].partition(":")[0]) for one in batch.json["refused"]]
    assert refused == [(1, "already has an account"), (2, "invalid"), (4, "twice in the request"), (5, "invalid")]
    assert "/email" not in str(batch.json["refused"])
    assert "email must be an address" in batch.json["refused"][1]["reason"]
    assert batch.json["progress"] == {"done": 2, "total": 2, "note": None}
    assert [mail.to.address for mail in mailbox.sent] == ["bob@mail.example"]


def test_an_invited_person_activates_with_a_password_and_a_name_and_signs_in(api: Api, admin: Api) -> None:
    _, mailbox = _invited(api, admin, _BOB)
    token = _token(mailbox)

    bare = api.call("POST", "/v1/users/activation", {"token": token})
    bad = api.call("POST", "/v1/users/activation", {"token": token, "password": "password1", "name": "Bob"})
    body = {"token": token, "password": PASSWORD, "name": "Bob Barker"}
    done = api.call("POST", "/v1/users/activation", body)
    again = api.call("POST", "/v1/users/activation", body | {"password": "another horse battery"})

    assert (bare.status_code, [error["pointer"] for error in bare.json["errors"]]) == (422, ["/password", "/name"])
    assert (bad.status_code, bad.json["errors"][0]["pointer"]) == (422, "/password")
    assert (done.status_code, again.status_code, again.json) == (200, 200, done.json)
    me = api.signed_in("bob@mail.example").call("GET", "/v1/users/me").json
    assert (me["name"], me["role"], me["activated_at"]) == ("Bob Barker", "user", done.json["activated_at"])
    assert [event for event, _ in api.events()].count("user.activated") == 2, "the administrator's too"


def test_who_has_signed_up_chooses_no_other_password_at_the_activation(api: Api) -> None:
    signed_up = api.call("POST", "/v1/users", {"email": EMAIL, "name": "Ada", "password": PASSWORD})
    mailbox = _run(api)
    assert signed_up.status_code == 202

    refused = api.call(
        "POST", "/v1/users/activation", {"token": _token(mailbox), "password": "another horse battery", "name": "Eve"}
    )

    assert (refused.status_code, [error["pointer"] for error in refused.json["errors"]]) == (
        422,
        ["/password", "/name"],
    )
    assert api.call("POST", "/v1/users/activation", {"token": _token(mailbox)}).status_code == 200


@pytest.mark.parametrize("password", ["", "the password of an account that does not exist"])
def test_no_password_opens_an_account_whose_owner_has_chosen_none(api: Api, admin: Api, password: str) -> None:
    _invited(api, admin, _BOB)
    with api.database.transaction() as session:
        session.execute("update users set activated_at = now()")

    answer = api.call("POST", "/v1/sessions", {"email": "bob@mail.example", "password": password})

    assert answer.status_code in {401, 422}


def test_a_lost_invitation_is_mailed_again(api: Api, admin: Api) -> None:
    _invited(api, admin, _BOB)

    api.call("POST", "/v1/users/activation/resend", {"email": "bob@mail.example"})
    (mail,) = _run(api).sent

    assert (mail.template, mail.to.address) == ("invitation", "bob@mail.example")


def test_a_strangers_sign_up_ends_no_invitation_and_mails_it_again(api: Api, admin: Api) -> None:
    _, first = _invited(api, admin, _BOB)

    stranger = {"email": "BOB@mail.example", "name": "A stranger", "password": "a stranger's battery"}
    signed_up = api.call("POST", "/v1/users", stranger)
    (mail,) = _run(api).sent

    assert signed_up.status_code == 202
    assert (mail.template, mail.to.address, mail.to.name) == ("invitation", "bob@mail.example", "Bob")
    body = {"token": _token(first), "password": PASSWORD, "name": "Bob"}
    assert api.call("POST", "/v1/users/activation", body).status_code == 200
    assert api.signed_in("bob@mail.example").call("GET", "/v1/users/me").json["name"] == "Bob"


def test_a_repeated_invitation_replaces_the_link_of_the_first(api: Api, admin: Api) -> None:
    _, first = _invited(api, admin, _BOB)
    batch, second = _invited(api, admin, _BOB)
    body = {"password": PASSWORD, "name": "Bob"}

    earlier = api.call("POST", "/v1/users/activation", body | {"token": _token(first)})
    later = api.call("POST", "/v1/users/activation", body | {"token": _token(second)})

    assert batch.json["refused"] == []
    assert (earlier.status_code, later.status_code) == (422, 200)


def test_a_repeated_request_invites_once_and_an_administrators_key_is_not_anothers(api: Api, admin: Api) -> None:
    other = api.signed_up("other@mail.example", "Another", role="administrator")
    body = {"users": [_BOB]}

    first, again = (admin.call("POST", "/v1/users/batch", body, Idempotency_Key="one") for _ in range(2))
    foreign = other.call("POST", "/v1/users/batch", body, Idempotency_Key="one")

    assert first.json == again.json
    assert foreign.json != first.json


def test_a_batch_is_read_by_its_owner_and_by_administrators_alone(api: Api, admin: Api) -> None:
    batch, _ = _invited(api, admin, _BOB)
    path = f"/v1/batches/{batch.json['id']}"
    ada = api.signed_up()
    other = api.signed_up("other@mail.example", "Another", role="administrator")
    with api.database.transaction() as session:
        session.execute("update users set role = 'user' where email = 'admin@mail.example'")
    owner = api.signed_in("admin@mail.example")

    readers = [one.call("GET", path).status_code for one in (owner, other, ada, api)]

    assert readers == [200, 200, 404, 401]


def test_no_personal_data_is_in_a_job_and_none_stays_with_the_batch(api: Api, admin: Api) -> None:
    admin.call("POST", "/v1/users/batch", {"users": [_BOB, {"email": "Bad Address", "name": "Dan Brown"}]})
    tables = ("jobs", "batches", "batch_refusals", "job_attempts", "idempotency_keys")

    with api.database.transaction() as session:
        waiting = str([session.fetch_all(f"select * from {table}") for table in tables])
    _run(api)
    with api.database.transaction() as session:
        left = session.fetch_all("select * from invitations")

    assert not any(word in waiting for word in ("bob@", "Bob", "Bad Address", "Dan Brown"))
    assert left == []


def test_a_job_whose_invitation_is_gone_makes_no_account_and_says_so(database: Database) -> None:
    with database.transaction() as session:
        enqueue(session, CreateUser(invitation_id=new_id()))
        (ran,) = run_jobs(session, kinds=["create_user"])

        assert session.fetch_all("select 1 from users") == []
    assert ran.result == {"created": False, "reason": "the invitation does not exist any more"}


@pytest.mark.parametrize(
    "body",
    [{"users": []}, {"users": [_BOB] * 1001}, {"users": [_BOB | {"role": "administrator"}]}, {"users": ["bob"]}, {}],
    ids=["none", "too many", "a role", "no object", "nothing"],
)
def test_a_request_of_another_form_invites_no_one(api: Api, admin: Api, body: Any) -> None:
    assert admin.call("POST", "/v1/users/batch", body).status_code == 422
    assert _run(api).sent == []


def test_a_thousand_people_are_one_request(api: Api, admin: Api) -> None:
    people = [{"email": f"person{n}@mail.example", "name": "ü" * 100} for n in range(1000)]

    accepted = admin.call("POST", "/v1/users/batch", {"users": people})

    batch = admin.call("GET", accepted.headers["Location"]).json
    assert (accepted.status_code, batch["progress"]) == (202, {"done": 0, "total": 1000, "note": None})
