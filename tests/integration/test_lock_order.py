"""Lock order: a mailed link that is followed during another change of its user waits for it, and no one deadlocks."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from moneyflow.accounts import mails
from moneyflow.accounts.mails import ComposedMail
from moneyflow.mails import ACTIVATION, PASSWORD_RESET
from moneyflow.platform.database import Database
from moneyflow.platform.events.emit import next_sequence
from moneyflow.platform.ids import new_id
from tests.support.api import EMAIL, PASSWORD, Api
from tests.support.waiting import eventually

_NEW = "a better horse battery"


def _waits_for_a_lock(database: Database) -> bool:
    waiting = """
        select from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()
    """
    with database.transaction() as session:
        return session.fetch_one(waiting) is not None


@pytest.mark.parametrize("is_used", [False, True], ids=["a new link", "a link that was followed"])
def test_an_activation_during_the_deletion_of_its_account_is_answered_like_an_invalid_link(
    api: Api, is_used: bool
) -> None:
    signed_up = api.call("POST", "/v1/users", {"email": EMAIL, "name": "Ada", "password": PASSWORD})
    body = {"token": api.token(signed_up.json["job_id"], ACTIVATION)}
    if is_used:
        assert api.call("POST", "/v1/users/activation", body).status_code == 200

    with ThreadPoolExecutor(1) as pool, api.database.transaction() as session:
        session.execute("select from users for update")
        following = pool.submit(api.call, "POST", "/v1/users/activation", body)
        eventually(lambda: _waits_for_a_lock(api.database), what="the activation waits for the deletion")
        session.execute("delete from users")
        session.commit()
        followed = following.result(30)

    assert (followed.status_code, followed.json["errors"][0]["pointer"]) == (422, "/token")


def test_a_reset_during_a_sign_in_of_its_user_waits_for_it(api: Api) -> None:
    api.signed_up()
    asked = api.call("POST", "/v1/password-resets", {"email": EMAIL})
    body = {"token": api.token(asked.json["job_id"], PASSWORD_RESET), "password": _NEW}

    with ThreadPoolExecutor(1) as pool, api.database.transaction() as session:
        row = session.fetch_one("select id from users for share")
        assert row is not None
        resetting = pool.submit(api.call, "POST", "/v1/password-resets/confirm", body)
        eventually(lambda: _waits_for_a_lock(api.database), what="the reset waits for the sign-in")
        next_sequence(session, f"auth:{row['id']}")
        session.commit()
        reset = resetting.result(30)

    assert reset.status_code == 204
    assert api.signed_in(password=_NEW).call("GET", "/v1/users/me").status_code == 200


def test_another_change_of_the_address_during_the_deletion_of_its_account_finds_no_account(api: Api) -> None:
    ada = api.signed_up()
    change = {"email": "ada.king@mail.example", "current_password": PASSWORD}
    assert ada.call("PUT", "/v1/users/me/email", change).status_code == 202

    with ThreadPoolExecutor(1) as pool, api.database.transaction() as session:
        session.execute("select from users for update")
        asking = pool.submit(ada.call, "PUT", "/v1/users/me/email", change)
        eventually(lambda: _waits_for_a_lock(api.database), what="the change waits for the deletion")
        session.execute("delete from users")
        session.commit()
        asked = asking.result(30)

    assert asked.status_code == 404


def test_a_link_that_is_mailed_during_a_change_of_the_address_goes_to_the_new_one(api: Api) -> None:
    api.signed_up()

    with ThreadPoolExecutor(1) as pool, api.database.transaction() as session:
        row = session.fetch_one("update users set email = 'ada.king@mail.example' returning id")
        assert row is not None
        composing = pool.submit(_reset_mail, api, row["id"])
        eventually(lambda: _waits_for_a_lock(api.database), what="the mail waits for the change")
        session.commit()
        composed = composing.result(30)

    assert composed is not None
    assert composed.to.address == "ada.king@mail.example"


def _reset_mail(api: Api, user_id: UUID) -> ComposedMail | None:
    with api.database.transaction() as session:
        return mails.compose(session, api.settings, PASSWORD_RESET, user_id=user_id, job_id=new_id())
