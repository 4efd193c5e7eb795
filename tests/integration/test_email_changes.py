"""A change of e-mail: confirmed at the new address by the signed-in owner, and the old address is notified."""

from typing import Any
from uuid import UUID

import pytest

from moneyflow.gateways.mail import Bounce
from moneyflow.mails import PASSWORD_RESET
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.api import EMAIL, PASSWORD, Api, served
from workers.testing import Mailbox, new_mailbox, run_jobs

_NEW = "ada.king@mail.example"
_CHANGE = {"email": _NEW, "current_password": PASSWORD}


@pytest.fixture
def ada(api: Api) -> Api:
    ada = api.signed_up()
    _run(api, new_mailbox())
    return ada


def _run(api: Api, mailbox: Mailbox) -> list[tuple[str, str]]:
    """Run all mail jobs, and return template and address of each mail that was sent."""
    with api.database.transaction() as session:
        run_jobs(session, kinds=["send_email", "send_welcome"], gateways=[mailbox])
    return [(mail.template, mail.to.address) for mail in mailbox.sent]


def _token(mailbox: Mailbox) -> str:
    return mailbox.sent[-1].text.partition("#token=")[2].split()[0]


def _asked(api: Api, user: Api, body: dict[str, Any] = _CHANGE) -> str:
    """Ask for a change as a user, and return the token of the link in the mail."""
    mailbox = new_mailbox()
    assert user.call("PUT", "/v1/users/me/email", body).status_code == 202
    assert _run(api, mailbox) == [("email_change", body["email"])]
    return _token(mailbox)


def test_an_address_is_changed_by_the_link_at_the_new_one_and_the_old_one_is_notified(api: Api, ada: Api) -> None:
    phone, mailbox = api.signed_in(), new_mailbox()
    token = _asked(api, ada)
    assert ada.call("GET", "/v1/users/me").json["email"] == EMAIL

    confirmed = ada.call("POST", "/v1/users/me/email/confirm", {"token": token})
    again = ada.call("POST", "/v1/users/me/email/confirm", {"token": token})

    assert (confirmed.status_code, confirmed.json["email"]) == (200, _NEW)
    assert (again.status_code, again.json) == (200, confirmed.json)
    assert _run(api, mailbox) == [("email_changed", EMAIL)]
    assert _NEW not in mailbox.sent[0].text
    assert api.events()[-1][0] == "user.updated"
    assert [event for event, _ in api.events()].count("user.updated") == 1
    assert (ada.call("GET", "/v1/users/me").status_code, phone.call("GET", "/v1/users/me").status_code) == (200, 401)
    assert api.call("POST", "/v1/sessions", {"email": EMAIL, "password": PASSWORD}).status_code == 401
    assert api.signed_in(_NEW).call("GET", "/v1/users/me").status_code == 200


def test_the_addresses_stand_in_no_job_and_no_event_and_the_old_one_is_gone_once_it_is_notified(
    api: Api, ada: Api
) -> None:
    token = _asked(api, ada)
    ada.call("POST", "/v1/users/me/email/confirm", {"token": token})
    _run(api, new_mailbox())

    with api.database.transaction() as session:
        jobs = str(session.fetch_all("select * from jobs"))
        changes = str(session.fetch_all("select * from email_changes"))
    api.events()
    assert not any(address in jobs for address in (EMAIL, _NEW))
    assert EMAIL not in changes


def test_an_address_with_an_account_gets_the_same_answer_and_cannot_be_taken(api: Api, ada: Api) -> None:
    api.signed_up(_NEW, "Bob")
    _run(api, new_mailbox())
    free = ada.call("PUT", "/v1/users/me/email", _CHANGE | {"email": "free@mail.example"})
    _run(api, new_mailbox())

    token = _asked(api, ada)
    taken = ada.call("POST", "/v1/users/me/email/confirm", {"token": token})

    assert free.json.keys() == {"job_id"}
    assert (taken.status_code, ada.call("GET", "/v1/users/me").json["email"]) == (409, EMAIL)
    assert "another account has this address" in taken.json["detail"]


def test_an_account_that_was_never_activated_does_not_keep_an_address_from_its_owner(api: Api, ada: Api) -> None:
    api.call("POST", "/v1/users", {"email": _NEW.upper(), "name": "A stranger", "password": PASSWORD})
    _run(api, new_mailbox())
    token = _asked(api, ada)

    confirmed = ada.call("POST", "/v1/users/me/email/confirm", {"token": token})

    assert confirmed.status_code == 200
    assert [event for event, _ in api.events()[-2:]] == ["user.deleted", "user.updated"]


def test_the_latest_change_decides_and_the_link_of_an_earlier_one_confirms_nothing(api: Api, ada: Api) -> None:
    first = _asked(api, ada, _CHANGE | {"email": "first@mail.example"})
    ada.call("PUT", "/v1/users/me/email", _CHANGE | {"email": "unsent@mail.example"})
    ada.call("PUT", "/v1/users/me/email", _CHANGE)
    mailbox = new_mailbox()

    assert _run(api, mailbox) == [("email_change", _NEW)]
    earlier = ada.call("POST", "/v1/users/me/email/confirm", {"token": first})
    latest = ada.call("POST", "/v1/users/me/email/confirm", {"token": _token(mailbox)})

    assert (earlier.status_code, earlier.json["errors"][0]["pointer"]) == (422, "/token")
    assert (latest.status_code, latest.json["email"]) == (200, _NEW)


def test_a_confirmed_change_ends_the_others_of_its_user(api: Api, ada: Api) -> None:
    token = _asked(api, ada)
    own = Database(api.settings.conninfo("app", application_name="test"), size=1)
    own.open()
    with own.transaction() as session:
        session.execute(
            "insert into email_changes (id, user_id, new_email, expires_at)"
            " select gen_random_uuid(), user_id, 'other@mail.example', expires_at from email_changes"
        )
    own.close()

    assert ada.call("POST", "/v1/users/me/email/confirm", {"token": token}).status_code == 200

    with api.database.transaction() as session:
        assert [row["new_email"] for row in session.fetch_all("select new_email from email_changes")] == [_NEW]


def test_a_link_works_for_the_user_who_asked_and_for_no_other(api: Api, ada: Api) -> None:
    token = _asked(api, ada)
    bob = api.signed_up("bob@mail.example", "Bob")

    assert bob.call("POST", "/v1/users/me/email/confirm", {"token": token}).status_code == 422
    assert ada.call("POST", "/v1/users/me/email/confirm", {"token": "x" * 43}).status_code == 422
    assert ada.call("POST", "/v1/users/me/email/confirm", {"token": token}).status_code == 200


def test_links_in_the_old_mailbox_end_with_the_change(api: Api, ada: Api) -> None:
    asked = api.call("POST", "/v1/password-resets", {"email": EMAIL})
    reset = api.token(asked.json["job_id"], PASSWORD_RESET)
    ada.call("POST", "/v1/users/me/email/confirm", {"token": _asked_beside(api, ada, UUID(asked.json["job_id"]))})

    body = {"token": reset, "password": "a better horse battery"}

    assert api.call("POST", "/v1/password-resets/confirm", body).status_code == 422


def _asked_beside(api: Api, user: Api, other: UUID) -> str:
    """Ask for a change while another mail waits, which stays unsent."""
    with api.database.transaction() as session:
        session.execute("delete from jobs where id = %(id)s", {"id": other})
    return _asked(api, user)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (_CHANGE | {"current_password": "wrong"}, "/current_password"),
        (_CHANGE | {"email": EMAIL}, "/email"),
        (_CHANGE | {"email": "not an address"}, "/email"),
        ({"email": _NEW}, "/current_password"),
    ],
)
def test_a_change_needs_the_password_and_another_address(
    api: Api, ada: Api, body: dict[str, str], pointer: str
) -> None:
    refused = ada.call("PUT", "/v1/users/me/email", body)

    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, pointer)
    assert _run(api, new_mailbox()) == []


def test_changes_are_limited_by_account_and_by_address(settings: AllSettings, database: Database, ada: Api) -> None:
    strict = settings.model_copy(update={"api_limits_factor": 1.0})
    with served(strict, database) as api:
        limited = Api(api.client, database, settings, ada.headers)
        bodies = [_CHANGE | {"email": f"n{n}@mail.example"} for n in range(6)]
        answers = [limited.call("PUT", "/v1/users/me/email", body) for body in bodies]

    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_a_link_that_bounces_leaves_the_address_of_the_account_as_it_is(api: Api, ada: Api) -> None:
    ada.call("PUT", "/v1/users/me/email", _CHANGE)
    _run(api, new_mailbox(bounce=Bounce(code=550, status="5.1.1", reason="no such mailbox")))
    mailbox = new_mailbox()

    api.call("POST", "/v1/password-resets", {"email": EMAIL})

    assert _run(api, mailbox) == [("password_reset", EMAIL)]
    assert ada.call("GET", "/v1/users/me").json["email"] == EMAIL
