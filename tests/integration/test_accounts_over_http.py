"""Accounts over HTTP: sign in and out, profile, password, reset, deletion, and who may do what."""

import re
from ipaddress import ip_network
from uuid import UUID

import falcon.testing
import pytest

from api.app import create_app
from moneyflow.accounts import administrators
from moneyflow.accounts.passwords import Passwords
from moneyflow.accounts.sessions import Sessions
from moneyflow.mails import ACTIVATION, PASSWORD_RESET
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from ops.dev.stack.ports import free_port
from tests.support import jobs
from tests.support.api import EMAIL as _EMAIL
from tests.support.api import PASSWORD as _PASSWORD
from tests.support.api import Api
from tests.support.servers import RealServers
from tests.support.services import services

_CSRF = {"X-CSRF-Protection": "1"}


@pytest.fixture
def api(servers: RealServers, settings: AllSettings, database: Database) -> Api:
    assert servers.redis.identity(), "it runs"
    return Api(falcon.testing.TestClient(create_app(services(settings, database))), database, settings)


@pytest.fixture
def ada(api: Api) -> Api:
    """Return the API as Ada calls it, who has signed up, activated and signed in."""
    signed_up = api.call("POST", "/v1/users", {"email": _EMAIL, "name": "Ada", "password": _PASSWORD})
    activated = api.call("POST", "/v1/users/activation", {"token": api.token(signed_up.json["job_id"], ACTIVATION)})
    assert activated.status_code == 200
    return api.signed_in()


def test_a_user_signs_in_by_bearer_token_and_reads_the_own_profile(ada: Api) -> None:
    me = ada.call("GET", "/v1/users/me")

    assert me.status_code == 200
    assert {name: me.json[name] for name in ("email", "name", "role", "avatar_url")} == {
        "email": _EMAIL, "name": "Ada", "role": "user", "avatar_url": None,
    }  # fmt: skip
    assert ada.call("GET", "/v1/users/me", If_None_Match=me.headers["ETag"]).status_code == 304


def test_a_browser_signs_in_by_a_cookie_that_scripts_cannot_read(api: Api, ada: Api) -> None:
    signed_in = api.call("POST", "/v1/sessions", {"email": _EMAIL, "password": _PASSWORD})
    cookie = signed_in.cookies["__Host-session"]

    assert "token" not in signed_in.json
    assert (cookie.http_only, cookie.secure, cookie.path) == (True, True, "/")
    assert not cookie.domain
    assert "SameSite=Lax" in signed_in.headers["set-cookie"]
    assert cookie.value is not None
    browser = Api(api.client, api.database, api.settings, {"Cookie": f"__Host-session={cookie.value}"})
    assert browser.call("GET", "/v1/users/me").status_code == 200
    assert ada.call("GET", "/v1/users/me").status_code == 200


@pytest.mark.parametrize("other", ["mu\u0308ller@bücher.example", "MÜLLER@xn--bcher-kva.example"])
def test_an_address_is_known_in_each_form_of_its_letters(api: Api, other: str) -> None:
    api.signed_up("müller@bücher.example")

    with api.database.transaction() as session:
        promotion = administrators.promote(session, email=other)

    assert promotion is not None
    assert api.signed_in(other).call("GET", "/v1/users/me").json["role"] == "administrator"


def test_a_change_by_cookie_needs_the_header_that_no_other_site_can_send(api: Api, ada: Api) -> None:
    cookie = api.call("POST", "/v1/sessions", {"email": _EMAIL, "password": _PASSWORD}).cookies["__Host-session"].value
    browser = Api(api.client, api.database, api.settings, {"Cookie": f"__Host-session={cookie}"})

    refused = browser.call("DELETE", "/v1/sessions/current")
    done = browser.call("DELETE", "/v1/sessions/current", X_CSRF_Protection="1")

    assert (refused.status_code, done.status_code) == (403, 204)
    assert "X-CSRF-Protection" in refused.json["detail"]
    assert done.cookies["__Host-session"].value == ""
    assert browser.call("GET", "/v1/users/me").status_code == 401
    assert ada.call("GET", "/v1/users/me").status_code == 200


@pytest.mark.parametrize(
    ("email", "password", "reason"),
    [
        (_EMAIL, "wrong horse battery", "wrong_password"),
        ("eve@mail.example", _PASSWORD, "unknown_address"),
        ("new@mail.example", _PASSWORD, "not_activated"),
    ],
)
def test_a_refused_sign_in_says_the_same_in_every_case_and_leaves_an_event(
    api: Api, ada: Api, email: str, password: str, reason: str
) -> None:
    api.call("POST", "/v1/users", {"email": "new@mail.example", "name": "Noa", "password": _PASSWORD})

    refused = api.call("POST", "/v1/sessions", {"email": email, "password": password})

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json["detail"].startswith("the address or the password is wrong, or the account is not activated")
    assert api.events()[-1] == ("auth.sign_in_failed", reason)
    assert ada.call("GET", "/v1/users/me").status_code == 200


@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_a_sign_in_ends_the_session_that_its_request_carries(api: Api, ada: Api, transport: str) -> None:
    phone, browser = api.signed_in(), ada
    if transport == "cookie":
        signed_in = api.call("POST", "/v1/sessions", {"email": _EMAIL, "password": _PASSWORD})
        cookie = signed_in.cookies["__Host-session"].value
        browser = Api(api.client, api.database, api.settings, {"Cookie": f"__Host-session={cookie}"})

    refused = browser.call("POST", "/v1/sessions", {"email": _EMAIL, "password": "wrong horse battery"})
    kept = browser.call("GET", "/v1/users/me")
    again = browser.signed_in()

    assert (refused.status_code, kept.status_code) == (401, 200)
    assert browser.call("GET", "/v1/users/me").status_code == 401
    assert [user.call("GET", "/v1/users/me").status_code for user in (again, phone)] == [200, 200]
    assert [event for event, _ in api.events()[-2:]] == ["auth.sign_in", "auth.sign_out"]


def test_a_user_lists_and_ends_own_sessions(api: Api, ada: Api) -> None:
    phone = api.signed_in()

    listed = ada.call("GET", "/v1/sessions").json["items"]
    (other,) = [item["id"] for item in listed if not item["current"]]

    assert len(listed) == 2
    assert ada.call("DELETE", f"/v1/sessions/{other}").status_code == 204
    assert ada.call("DELETE", f"/v1/sessions/{other}").status_code == 404
    assert phone.call("GET", "/v1/users/me").status_code == 401
    assert [event for event, _ in api.events()[-1:]] == ["auth.sign_out"]


def test_a_sign_out_while_postgres_is_down_ends_no_session_and_can_be_repeated(
    settings: AllSettings, database: Database, ada: Api
) -> None:
    gone = settings.model_copy(update={"postgres_port": free_port()})
    down = Database(gone.conninfo("app", application_name="test"), size=1, timeout_seconds=0.2)
    down.open()
    api = Api(falcon.testing.TestClient(create_app(services(settings, down))), database, settings, ada.headers)

    refused = api.call("DELETE", "/v1/sessions/current")
    down.close()
    repeated = ada.call("DELETE", "/v1/sessions/current")

    assert (refused.status_code, repeated.status_code) == (503, 204)
    assert ada.call("GET", "/v1/users/me").status_code == 401
    assert [event for event, _ in ada.events()].count("auth.sign_out") == 1


def test_sign_ins_with_unknown_addresses_share_a_bounded_number_of_sequences(api: Api) -> None:
    for number in range(3):
        for _ in range(2):
            body = {"email": f"unknown{number}@mail.example", "password": _PASSWORD}
            assert api.call("POST", "/v1/sessions", body).status_code == 401

    with api.database.transaction() as session:
        rows = session.fetch_all("select key, sequence from event_sequences where key like 'auth:%'")
    assert all(re.fullmatch("auth:unknown:[0-9a-f]{3}", row["key"]) for row in rows)
    assert sum(row["sequence"] for row in rows) == 6


def test_a_session_of_another_user_is_answered_like_a_missing_one(api: Api, ada: Api) -> None:
    signed_up = api.call("POST", "/v1/users", {"email": "bob@mail.example", "name": "Bob", "password": _PASSWORD})
    token = api.token(signed_up.json["job_id"], ACTIVATION, "bob@mail.example")
    api.call("POST", "/v1/users/activation", {"token": token})
    bob = api.signed_in("bob@mail.example")
    (hers,) = [item["id"] for item in ada.call("GET", "/v1/sessions").json["items"]]

    assert bob.call("DELETE", f"/v1/sessions/{hers}").status_code == 404
    assert ada.call("GET", "/v1/users/me").status_code == 200


def test_a_profile_is_changed_under_its_etag_and_the_event_names_the_field_alone(api: Api, ada: Api) -> None:
    etag = ada.call("GET", "/v1/users/me").headers["ETag"]

    changed = ada.call("PATCH", "/v1/users/me", {"name": "Ada King"}, If_Match=etag)
    stale = ada.call("PATCH", "/v1/users/me", {"name": "Ada Byron"}, If_Match=etag)
    blind = ada.call("PATCH", "/v1/users/me", {"name": "Ada Byron"})

    assert (changed.status_code, changed.json["name"]) == (200, "Ada King")
    assert changed.headers["ETag"] != etag
    assert (stale.status_code, blind.status_code) == (412, 428)
    assert ada.call("GET", "/v1/users/me").json["name"] == "Ada King"
    assert [event for event, _ in api.events()].count("user.updated") == 1


def test_a_changed_password_ends_all_sessions_and_mails_the_owner(api: Api, ada: Api) -> None:
    phone = api.signed_in()
    new = "a better horse battery"

    wrong = ada.call("PUT", "/v1/users/me/password", {"current_password": "wrong", "password": new})
    done = ada.call("PUT", "/v1/users/me/password", {"current_password": _PASSWORD, "password": new})

    assert (wrong.status_code, wrong.json["errors"][0]["pointer"]) == (422, "/current_password")
    assert done.status_code == 204
    assert [user.call("GET", "/v1/users/me").status_code for user in (ada, phone)] == [401, 401]
    old = {"email": _EMAIL, "password": _PASSWORD}
    assert api.call("POST", "/v1/sessions", old).status_code == 401
    assert api.signed_in(password=new).call("GET", "/v1/users/me").status_code == 200
    assert "user.password_changed" in [event for event, _ in api.events()]
    assert "password_changed" in _mails(api.database)


def test_a_password_is_reset_once_by_the_link_in_a_mail(api: Api, ada: Api) -> None:
    asked = api.call("POST", "/v1/password-resets", {"email": _EMAIL})
    body = {"token": api.token(asked.json["job_id"], PASSWORD_RESET), "password": "a better horse battery"}

    answers = [api.call("POST", "/v1/password-resets/confirm", body).status_code for _ in range(2)]

    assert answers == [204, 422]
    assert ada.call("GET", "/v1/users/me").status_code == 401
    assert api.signed_in(password="a better horse battery").call("GET", "/v1/users/me").status_code == 200
    types = [event for event, _ in api.events()]
    assert types[types.index("auth.password_reset") + 1] == "user.password_changed"


@pytest.mark.parametrize("path", ["/v1/password-resets", "/v1/users/activation/resend"])
def test_a_link_for_an_unknown_address_is_answered_like_any_other_and_mails_no_one(
    api: Api, ada: Api, path: str
) -> None:
    before = _mails(api.database)

    unknown = api.call("POST", path, {"email": "eve@mail.example"})

    assert unknown.status_code == 202
    assert unknown.headers["Location"] == f"/v1/jobs/{unknown.json['job_id']}"
    with api.database.transaction() as session:
        payload = jobs.job(api.database, UUID(unknown.json["job_id"]))["payload"]
        row = session.fetch_one("select id from users where id = %(id)s", {"id": payload["user_id"]})
    assert row is None
    assert len(_mails(api.database)) == len(before) + 1


@pytest.mark.parametrize("place", ["sign-up", "change", "reset"])
@pytest.mark.parametrize("known", ["Password123", "iloveyou", "1qaz2wsx"])
def test_a_known_bad_password_is_refused_wherever_one_is_set(api: Api, ada: Api, place: str, known: str) -> None:
    if place == "sign-up":
        refused = api.call("POST", "/v1/users", {"email": "b@mail.example", "name": "Bob", "password": known})
    elif place == "change":
        body = {"current_password": _PASSWORD, "password": known}
        refused = ada.call("PUT", "/v1/users/me/password", body)
    else:
        asked = api.call("POST", "/v1/password-resets", {"email": _EMAIL})
        token = api.token(asked.json["job_id"], PASSWORD_RESET)
        refused = api.call("POST", "/v1/password-resets/confirm", {"token": token, "password": known})

    assert refused.status_code == 422
    (error,) = refused.json["errors"]
    assert error["pointer"] == "/password"
    assert error["detail"].startswith("is among the most used passwords, which attackers try first; choose")
    assert api.signed_in().call("GET", "/v1/users/me").status_code == 200


def test_a_deleted_account_leaves_no_personal_data_and_no_session(api: Api, ada: Api) -> None:
    done = ada.call("DELETE", "/v1/users/me")

    assert done.status_code == 204
    assert ada.call("GET", "/v1/users/me").status_code == 401
    assert api.call("POST", "/v1/sessions", {"email": _EMAIL, "password": _PASSWORD}).status_code == 401
    assert "user.deleted" in [event for event, _ in api.events()]
    with api.database.transaction() as session:
        tables = ("users", "user_tokens", "jobs", "idempotency_keys")
        dump = str([session.fetch_all(f"select * from {table}") for table in tables])
    assert not any(word in dump for word in (_EMAIL, "Ada", "argon2"))


@pytest.mark.parametrize("authorization", ["Basic YWRhOmFkYQ==", "Bearer", "Bearer ", "Bearer not-a-token", "bearer x"])
def test_a_request_without_a_session_is_answered_with_how_to_get_one(api: Api, authorization: str) -> None:
    refused = api.call("GET", "/v1/users/me", Authorization=authorization)

    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert refused.headers["content-type"] == "application/problem+json"


def test_no_request_is_let_through_while_redis_is_down(settings: AllSettings, database: Database, ada: Api) -> None:
    down = Sessions(settings.model_copy(update={"redis_port": free_port()}))
    app = create_app(services(settings, database, sessions=down))
    api = Api(falcon.testing.TestClient(app), database, settings, ada.headers)
    before = ada.events()

    refused = [
        api.call("GET", "/v1/users/me"),
        api.call("POST", "/v1/sessions", {"email": _EMAIL, "password": _PASSWORD}),
        api.call("DELETE", "/v1/users/me"),
    ]

    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in refused] == [(503, "2")] * 3
    assert ada.events() == before
    assert ada.call("GET", "/v1/users/me").status_code == 200


def test_a_sign_up_flood_is_limited_by_network_and_by_address(
    settings: AllSettings, database: Database, servers: RealServers
) -> None:
    assert servers.redis.identity(), "it runs"
    proxied = settings.model_copy(update={"api_limits_factor": 1.0, "trusted_proxies": (ip_network("127.0.0.0/8"),)})
    api = Api(falcon.testing.TestClient(create_app(services(proxied, database))), database, settings)

    def sign_up(number: int, network: str, email: str | None = None) -> falcon.testing.Result:
        body = {"email": email or f"p{number}@mail.example", "name": "A person", "password": _PASSWORD}
        return api.call("POST", "/v1/users", body, X_Forwarded_For=f"198.51.100.1, {network}")

    passed = [sign_up(number, "192.0.2.7") for number in range(31)]
    other = sign_up(32, "192.0.2.8")
    mailbox = [sign_up(40 + number, f"192.0.2.{number + 10}", "one@mail.example") for number in range(6)]

    assert [answer.status_code for answer in passed] == [202] * 30 + [429]
    assert passed[0].headers["RateLimit-Remaining"] == "29"
    assert int(passed[-1].headers["Retry-After"]) > 0
    assert passed[-1].headers["content-type"] == "application/problem+json"
    assert other.status_code == 202
    assert [answer.status_code for answer in mailbox] == [202] * 5 + [429]


def test_guesses_of_the_current_password_are_limited_wherever_it_is_asked_for(
    settings: AllSettings, database: Database, ada: Api
) -> None:
    strict = settings.model_copy(update={"api_limits_factor": 1.0})
    client = falcon.testing.TestClient(create_app(services(strict, database)))
    limited = Api(client, database, settings, ada.headers)
    guess = {"current_password": "a wrong guess", "password": "a better horse battery"}
    elsewhere = {"current_password": _PASSWORD, "email": "ada.king@mail.example"}

    guesses = [limited.call("PUT", "/v1/users/me/password", guess) for _ in range(11)]
    right = limited.call("PUT", "/v1/users/me/email", elsewhere)

    assert [answer.status_code for answer in guesses] == [422] * 10 + [429]
    assert int(guesses[-1].headers["Retry-After"]) > 0
    assert right.status_code == 429
    assert ada.call("GET", "/v1/users/me").status_code == 200


def test_who_is_no_trusted_proxy_cannot_say_who_the_client_is(
    settings: AllSettings, database: Database, servers: RealServers
) -> None:
    assert servers.redis.identity(), "it runs"
    strict = settings.model_copy(update={"api_limits_factor": 0.1})
    api = Api(falcon.testing.TestClient(create_app(services(strict, database))), database, settings)
    body = {"email": "ada@mail.example", "password": _PASSWORD}

    answers = [
        api.call("POST", "/v1/sessions", body | {"email": f"p{n}@mail.example"}, X_Forwarded_For=f"192.0.2.{n}")
        for n in range(7)
    ]

    assert [answer.status_code for answer in answers] == [401] * 6 + [429]


def test_an_idempotency_key_that_is_known_needs_no_hash(api: Api, settings: AllSettings, database: Database) -> None:
    body = {"email": _EMAIL, "name": "Ada", "password": _PASSWORD}
    first = api.call("POST", "/v1/users", body, Idempotency_Key="one")
    busy = Passwords(at_once=1, waiting=0)
    busy._admitted.acquire()
    flooded = Api(
        falcon.testing.TestClient(create_app(services(settings, database, passwords=busy))), database, settings
    )

    again = flooded.call("POST", "/v1/users", body, Idempotency_Key="one")
    new = flooded.call("POST", "/v1/users", body, Idempotency_Key="two")

    assert (again.status_code, again.json) == (202, first.json)
    assert (new.status_code, new.headers["Retry-After"]) == (503, "2")


def _mails(database: Database) -> list[str]:
    with database.transaction() as session:
        rows = session.fetch_all("select payload ->> 'template' as template from jobs order by id")
    return [row["template"] for row in rows]
