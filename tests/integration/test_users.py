"""Sign up and activate: one account per address, one activation per account, and links that work once."""

import threading
from collections.abc import Iterator
from uuid import UUID

import orjson
import pytest

from moneyflow.accounts import mails, tokens, users
from moneyflow.mails import ACTIVATE, ACTIVATION, PASSWORD_RESET, RESET, Mail
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support import jobs


@pytest.fixture
def owner(settings: AllSettings) -> Iterator[Database]:
    """Return the database as the owner sees it, the outbox included."""
    database = Database(settings.conninfo("owner", application_name="test"), size=2)
    database.open()
    yield database
    database.close()


def _sign_up(database: Database, email: str = "zoe@example.com", name: str = "Zoë") -> UUID:
    with database.transaction() as session:
        return users.sign_up(session, email=email, name=name, password_hash="$argon2id$…")


def _user(database: Database, email: str = "zoe@example.com") -> dict[str, object]:
    with database.transaction() as session:
        row = session.fetch_one("select * from users where email = %(email)s", {"email": email})
    assert row is not None
    return row


def _token(
    database: Database,
    settings: AllSettings,
    job_id: UUID,
    mail: Mail = ACTIVATION,
    *,
    email: str = "zoe@example.com",
) -> str:
    """Return the token of the link in the mail that this job sends."""
    user_id = _user(database, email)["id"]
    assert isinstance(user_id, UUID)
    with database.transaction() as session:
        composed = mails.compose(session, settings, mail, user_id=user_id, job_id=job_id)
    assert composed is not None
    return str(composed.values["link"]).partition("#token=")[2]


def _activate(database: Database, token: str) -> users.Activation:
    with database.transaction() as session:
        return users.activate(session, token)


def _events(owner: Database) -> list[tuple[str, str]]:
    with owner.transaction() as session:
        rows = session.fetch_all("select value from outbox_events order by sequence")
    return [(event["type"], event["sequence"]) for event in (orjson.loads(row["value"]) for row in rows)]


def _kinds(database: Database) -> list[tuple[str, str | None]]:
    with database.transaction() as session:
        rows = session.fetch_all("select kind, payload ->> 'template' as template from jobs order by id")
    return [(row["kind"], row["template"]) for row in rows]


def test_a_sign_up_makes_an_account_an_event_and_a_mail(database: Database, owner: Database) -> None:
    job_id = _sign_up(database)

    user = _user(database)
    assert (user["name"], user["activated_at"], user["version"]) == ("Zoë", None, 1)
    assert _events(owner) == [("user.created", "1")]
    assert jobs.job(database, job_id)["payload"] == {"template": "activation", "user_id": str(user["id"])}


@pytest.mark.parametrize("again", ["zoe@example.com", "ZOE@Example.COM"])
def test_a_second_sign_up_changes_nothing_and_mails_the_owner(
    again: str, settings: AllSettings, database: Database, owner: Database
) -> None:
    _activate(database, _token(database, settings, _sign_up(database)))
    before = _user(database)

    _sign_up(database, again, "Another name")

    assert _user(database) == before
    with database.transaction() as session:
        assert session.fetch_all("select count(*) from users") == [{"count": 1}]
    assert _events(owner) == [("user.created", "1"), ("user.activated", "2")]
    assert _kinds(database)[2:] == [("send_email", "already_registered")]


@pytest.mark.parametrize("sent", [True, False], ids=["the first mail is sent", "the first mail waits"])
def test_until_the_activation_the_latest_sign_up_decides_and_earlier_links_end(
    sent: bool, settings: AllSettings, database: Database, owner: Database
) -> None:
    strangers_job = _sign_up(database, name="A stranger")
    stranger = _user(database)["id"]
    assert isinstance(stranger, UUID)
    earlier = _token(database, settings, strangers_job) if sent else None

    owners_job = _sign_up(database, "Zoe@example.com")

    with database.transaction() as session:
        late = mails.compose(session, settings, ACTIVATION, user_id=stranger, job_id=strangers_job)
    assert late is None
    if earlier is not None:
        with pytest.raises(InvalidInputError):
            _activate(database, earlier)
    token = _token(database, settings, owners_job, email="Zoe@example.com")
    assert _activate(database, token).user_id == _user(database, "Zoe@example.com")["id"]
    assert _events(owner) == [
        ("user.created", "1"),
        ("user.deleted", "2"),
        ("user.created", "1"),
        ("user.activated", "2"),
    ]


def test_two_sign_ups_at_once_make_one_account(database: Database, owner: Database) -> None:
    threads = [threading.Thread(target=_sign_up, args=(database,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert _user(database)["version"] == 1
    assert sorted(_events(owner)) == [("user.created", "1")] * 6 + [("user.deleted", "2")] * 5


def test_the_link_activates_the_account_and_enqueues_its_welcome_mail(
    settings: AllSettings, database: Database, owner: Database
) -> None:
    token = _token(database, settings, _sign_up(database))

    activation = _activate(database, token)

    user = _user(database)
    assert (user["id"], user["activated_at"]) == (activation.user_id, activation.activated_at)
    assert _events(owner) == [("user.created", "1"), ("user.activated", "2")]
    assert _kinds(database) == [("send_email", "activation"), ("send_welcome", None)]


def test_a_link_activates_once_however_many_follow_it_at_the_same_time(
    settings: AllSettings, database: Database, owner: Database
) -> None:
    token = _token(database, settings, _sign_up(database))
    ends: list[users.Activation] = []

    def follow() -> None:
        ends.append(_activate(database, token))

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert ends == [ends[0]] * 4
    assert _events(owner) == [("user.created", "1"), ("user.activated", "2")]


def test_a_mail_that_is_composed_twice_carries_one_link(settings: AllSettings, database: Database) -> None:
    job_id = _sign_up(database)

    assert _token(database, settings, job_id) == _token(database, settings, job_id)
    assert _token(database, settings, new_id()) != _token(database, settings, job_id)


def test_the_first_link_that_is_redeemed_ends_the_others(settings: AllSettings, database: Database) -> None:
    job_id = _sign_up(database)
    user_id = _user(database)["id"]
    first, second = (_token(database, settings, id_, PASSWORD_RESET) for id_ in (job_id, new_id()))

    with database.transaction() as session:
        assert tokens.redeem(session, second, purpose=RESET.purpose) == user_id
        for used in (first, second):
            with pytest.raises(InvalidInputError, match="does not work any more"):
                tokens.redeem(session, used, purpose=RESET.purpose)


def test_an_activated_account_is_not_activated_again(
    settings: AllSettings, database: Database, owner: Database
) -> None:
    first = _activate(database, _token(database, settings, _sign_up(database)))

    second = _activate(database, _token(database, settings, new_id()))

    assert second == first
    assert _events(owner) == [("user.created", "1"), ("user.activated", "2")]
    assert _kinds(database) == [("send_email", "activation"), ("send_welcome", None)]


@pytest.mark.parametrize("reason", ["expired", "unknown", "of another purpose", "empty"])
def test_a_link_that_does_not_work_gives_no_reason(reason: str, settings: AllSettings, database: Database) -> None:
    token = _token(database, settings, _sign_up(database))
    with database.transaction() as session:
        if reason == "expired":
            session.execute("update user_tokens set expires_at = now() - interval '1 second'")
        elif reason == "of another purpose":
            session.execute("update user_tokens set purpose = 'password_reset'")
    given = {"unknown": token[:-1], "empty": ""}.get(reason, token)

    with pytest.raises(InvalidInputError) as caught:
        _activate(database, given)

    assert caught.value.errors == (("/token", "is unknown, used or expired"),)
    assert _user(database)["activated_at"] is None


def test_a_second_mail_with_the_purpose_of_activation_has_a_link_that_activates(
    settings: AllSettings, database: Database
) -> None:
    job_id = _sign_up(database)
    reminder = Mail("activation_reminder", link=ACTIVATE)

    activation = _activate(database, _token(database, settings, job_id, reminder))

    assert _user(database)["activated_at"] == activation.activated_at


def test_a_token_lives_for_48_hours_from_its_first_mail(settings: AllSettings, database: Database) -> None:
    job_id = _sign_up(database)
    _token(database, settings, job_id)
    with database.transaction() as session:
        session.execute("update user_tokens set expires_at = expires_at - interval '1 hour'")
    _token(database, settings, job_id)

    with database.transaction() as session:
        (row,) = session.fetch_all("select extract(epoch from expires_at - now())::float as seconds from user_tokens")
    assert row["seconds"] == pytest.approx((ACTIVATE.hours - 1) * 3600, abs=60)


def test_neither_token_nor_secret_is_in_the_database(
    settings: AllSettings, database: Database, owner: Database
) -> None:
    token = _token(database, settings, _sign_up(database))

    with owner.transaction() as session:
        everything = [
            row["text"]
            for table in ("user_tokens", "users", "jobs", "outbox_events")
            for row in session.fetch_all(f"select t::text as text from {table} t")
        ]

    assert len(everything) == 4
    assert not any(token in text or token.encode().hex() in text for text in everything)


def test_a_mail_to_an_account_that_does_not_exist_is_not_composed(settings: AllSettings, database: Database) -> None:
    with database.transaction() as session:
        assert mails.compose(session, settings, ACTIVATION, user_id=new_id(), job_id=new_id()) is None
        assert session.fetch_all("select 1 from user_tokens") == []
