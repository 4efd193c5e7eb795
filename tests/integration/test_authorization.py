"""Authorization matrix: every route and method of the router, and which callers it serves."""

import re
from collections.abc import Callable, Iterator
from typing import LiteralString
from uuid import UUID

import falcon.inspect
import falcon.testing
import pytest

from api.app import create_app
from api.guards import Audience, audience_of
from moneyflow.accounts.sessions import Sessions
from moneyflow.gateways.storage import files, new_key
from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.telemetry.origin import Origin, working_for
from moneyflow.settings import AllSettings
from tests.support import imports, payments, people
from tests.support.servers import RealServers
from tests.support.services import services
from workers.testing import temporary_storage

_PUBLIC, _SIGNED_IN, _ADMINISTRATORS = Audience.PUBLIC, Audience.SIGNED_IN, Audience.ADMINISTRATORS
_GUARDED = {_SIGNED_IN, _ADMINISTRATORS}

#: Every route with the callers of each method. A new route needs a row.
_MATRIX = {
    ("POST", "/v1/users"): _PUBLIC,
    ("POST", "/v1/users/batch"): _ADMINISTRATORS,
    ("POST", "/v1/users/activation"): _PUBLIC,
    ("POST", "/v1/users/activation/resend"): _PUBLIC,
    ("GET", "/v1/users/me"): _SIGNED_IN,
    ("PATCH", "/v1/users/me"): _SIGNED_IN,
    ("DELETE", "/v1/users/me"): _SIGNED_IN,
    ("PUT", "/v1/users/me/avatar"): _SIGNED_IN,
    ("DELETE", "/v1/users/me/avatar"): _SIGNED_IN,
    ("PUT", "/v1/users/me/password"): _SIGNED_IN,
    ("PUT", "/v1/users/me/email"): _SIGNED_IN,
    ("POST", "/v1/users/me/email/confirm"): _SIGNED_IN,
    ("POST", "/v1/password-resets"): _PUBLIC,
    ("POST", "/v1/password-resets/confirm"): _PUBLIC,
    ("POST", "/v1/sessions"): _PUBLIC,
    ("GET", "/v1/sessions"): _SIGNED_IN,
    ("DELETE", "/v1/sessions/{session_id}"): _SIGNED_IN,
    ("POST", "/v1/users/me/data"): _SIGNED_IN,
    # A stranger reads by its id that a job of an anonymous request was accepted, and later done.
    ("GET", "/v1/jobs/{job_id}"): Audience.OPTIONALLY_SIGNED_IN,
    ("GET", "/v1/analytics/summary"): _SIGNED_IN,
    ("GET", "/v1/analytics/cashflow"): _SIGNED_IN,
    ("POST", "/v1/exports"): _SIGNED_IN,
    ("GET", "/v1/exports/{export_id}"): _SIGNED_IN,
    ("GET", "/v1/batches/{batch_id}"): _SIGNED_IN,
    ("GET", "/v1/files/{file_id}"): _SIGNED_IN,
    ("GET", "/storage/{folder}/{name}"): _PUBLIC,
    ("GET", "/v1/categories"): _SIGNED_IN,
    ("POST", "/v1/categories"): _SIGNED_IN,
    ("GET", "/v1/categories/{category_id}"): _SIGNED_IN,
    ("PATCH", "/v1/categories/{category_id}"): _SIGNED_IN,
    ("DELETE", "/v1/categories/{category_id}"): _SIGNED_IN,
    ("GET", "/v1/transactions"): _SIGNED_IN,
    ("POST", "/v1/transactions"): _SIGNED_IN,
    ("POST", "/v1/transactions/bulk"): _SIGNED_IN,
    ("GET", "/v1/transactions/{transaction_id}"): _SIGNED_IN,
    ("PATCH", "/v1/transactions/{transaction_id}"): _SIGNED_IN,
    ("DELETE", "/v1/transactions/{transaction_id}"): _SIGNED_IN,
    ("POST", "/v1/payments"): _SIGNED_IN,
    ("GET", "/v1/payments/{payment_id}"): _SIGNED_IN,
    ("POST", "/v1/payments/{payment_id}/refund"): _SIGNED_IN,
    ("POST", "/v1/imports"): _SIGNED_IN,
    ("GET", "/v1/imports/{import_id}"): _SIGNED_IN,
    # Stripe signs what it sends.
    ("POST", "/v1/webhooks/stripe"): _PUBLIC,
    ("GET", "/healthz"): _PUBLIC,
    ("GET", "/readyz"): _PUBLIC,
    ("GET", "/metrics"): _PUBLIC,
    ("GET", "/asyncapi.json"): _PUBLIC,
    ("GET", "/openapi.json"): _PUBLIC,
    ("GET", "/schemas/"): _PUBLIC,
    ("GET", "/schemas/{type}/{version}"): _PUBLIC,
    ("GET", "/docs"): _PUBLIC,
    ("GET", "/docs/problems"): _PUBLIC,
    ("GET", "/docs/{name}"): _PUBLIC,
}


class _AnyId(dict[str, UUID]):
    """An id that there is not, for each parameter of a path."""

    def __missing__(self, _: str) -> UUID:
        return new_id()


App = falcon.App[falcon.Request, falcon.Response]


@pytest.fixture
def sessions(servers: RealServers, settings: AllSettings) -> Iterator[Sessions]:
    assert servers.redis.identity(), "it runs"
    sessions = Sessions(settings)
    yield sessions
    sessions.close()


@pytest.fixture
def owner(settings: AllSettings, database: Database) -> Iterator[Database]:
    """Return the database as the schema's owner, who can make whatever there is."""
    assert database.check() is None
    owner = Database(settings.conninfo("owner", application_name="test"), size=1)
    owner.open()
    yield owner
    owner.close()


@pytest.fixture
def app(settings: AllSettings, database: Database, sessions: Sessions) -> App:
    return create_app(services(settings, database, sessions=sessions))


def _routes(app: App) -> dict[tuple[str, str], Audience | None]:
    """Return what the router has: for each method and path the callers that its responder serves."""
    routes = falcon.inspect.inspect_routes(app)
    found = {}
    for route in routes:
        node = app._router.find(route.path.replace("{", "").replace("}", ""))
        assert node is not None
        for method in route.methods:
            if not method.internal:
                found[method.method, route.path] = audience_of(node[0], method.method)
    return found


def test_every_route_has_a_row_in_the_matrix_and_serves_exactly_those_callers(app: App) -> None:
    routes = _routes(app)
    heads = {path: audience for (method, path), audience in routes.items() if method == "HEAD"}

    assert {key: audience for key, audience in routes.items() if key[0] != "HEAD"} == _MATRIX
    assert heads == {path: audience for (method, path), audience in _MATRIX.items() if method == "GET"}


@pytest.mark.parametrize(("method", "path"), [key for key, audience in _MATRIX.items() if audience in _GUARDED])
def test_a_guarded_route_refuses_who_is_not_served(method: str, path: str, app: App, sessions: Sessions) -> None:
    client, address = falcon.testing.TestClient(app), path.format_map(_AnyId())
    ended, session = sessions.start(user_id=new_id(), role="administrator", client="a test")
    sessions.end_all(UUID(session.user_id))
    user, _ = sessions.start(user_id=new_id(), role="user", client="a test")

    without = client.simulate_request(method, address, json={})
    with_ended = client.simulate_request(method, address, json={}, headers={"Authorization": f"Bearer {ended}"})
    as_user = client.simulate_request(method, address, json={}, headers={"Authorization": f"Bearer {user}"})

    assert (without.status_code, with_ended.status_code) == (401, 401)
    expected = _MATRIX[method, path] is _ADMINISTRATORS
    assert (as_user.status_code == 403) is expected
    assert as_user.status_code != 401


def _foreign_session(sessions: Sessions, _: Database) -> UUID:
    return UUID(sessions.start(user_id=new_id(), role="user", client="another")[1].id)


def _foreign_batch(_: Sessions, database: Database) -> UUID:
    with working_for(Origin(actor_id=str(new_id()))), database.transaction() as session:
        return batches.submit(session, [], name="of another user")


def _foreign_job(_: Sessions, database: Database) -> UUID:
    with working_for(Origin(actor_id=str(new_id()))), database.transaction() as session:
        return enqueue(session, Purge())


def _foreign_file(_: Sessions, database: Database) -> UUID:
    owner_id = people.add(database)
    written = temporary_storage().write(new_key("private"), [b"a"])
    with database.transaction() as session:
        return files.add(session, written, name="a.csv", content_type="text/csv", owner_id=owner_id)


def _foreign_category(_: Sessions, database: Database) -> UUID:
    return _stored(
        database, "insert into categories (id, user_id, kind, name) values (%(id)s, %(user_id)s, 'income', 'Salary')"
    )


def _foreign_transaction(_: Sessions, database: Database) -> UUID:
    return _stored(
        database,
        "insert into transactions (id, user_id, kind, amount, currency, date) "
        "values (%(id)s, %(user_id)s, 'income', 1, 'JPY', now())",
    )


def _foreign_export(_: Sessions, database: Database) -> UUID:
    return _stored(
        database,
        "insert into exports (id, user_id, format, job_id, expires_at) "
        "values (%(id)s, %(user_id)s, 'zip', %(id)s, now() + interval '1 day')",
    )


def _stored(database: Database, insert: LiteralString) -> UUID:
    """Insert a row of another user, who has an account, and return its id."""
    row = {"id": new_id(), "user_id": new_id()}
    with database.transaction() as session:
        session.execute("insert into users (id, email, name) values (%(user_id)s, %(user_id)s, 'Eve')", row)
        session.execute(insert, row)
    return row["id"]


def _foreign_payment(_: Sessions, database: Database) -> UUID:
    return payments.succeeded(database, people.add(database))


def _foreign_import(_: Sessions, database: Database) -> UUID:
    return imports.requested(database, people.add(database)).id


#: What makes a thing of another user, for each guarded route with an id, and whether administrators reach it.
_FOREIGN: dict[tuple[str, str], tuple[Callable[[Sessions, Database], UUID], bool]] = {
    ("DELETE", "/v1/sessions/{session_id}"): (_foreign_session, False),
    ("GET", "/v1/jobs/{job_id}"): (_foreign_job, True),
    ("GET", "/v1/batches/{batch_id}"): (_foreign_batch, True),
    ("GET", "/v1/files/{file_id}"): (_foreign_file, True),
    ("GET", "/v1/categories/{category_id}"): (_foreign_category, False),
    ("PATCH", "/v1/categories/{category_id}"): (_foreign_category, False),
    ("DELETE", "/v1/categories/{category_id}"): (_foreign_category, False),
    ("GET", "/v1/transactions/{transaction_id}"): (_foreign_transaction, False),
    ("PATCH", "/v1/transactions/{transaction_id}"): (_foreign_transaction, False),
    ("DELETE", "/v1/transactions/{transaction_id}"): (_foreign_transaction, False),
    ("GET", "/v1/exports/{export_id}"): (_foreign_export, False),
    ("GET", "/v1/payments/{payment_id}"): (_foreign_payment, False),
    ("POST", "/v1/payments/{payment_id}/refund"): (_foreign_payment, False),
    ("GET", "/v1/imports/{import_id}"): (_foreign_import, False),
}


def test_every_guarded_route_with_an_id_is_tried_with_a_foreign_one() -> None:
    assert _FOREIGN.keys() == {key for key, audience in _MATRIX.items() if "{" in key[1] and audience is not _PUBLIC}


@pytest.mark.parametrize(("method", "path"), _FOREIGN)
def test_a_foreign_id_is_answered_like_a_missing_one(
    method: str, path: str, app: App, sessions: Sessions, owner: Database
) -> None:
    make, administrators_may = _FOREIGN[method, path]
    foreign, missing = make(sessions, owner), new_id()

    def answer(role: str, found: UUID) -> tuple[int, str]:
        token, _ = sessions.start(user_id=new_id(), role=role, client="a test")
        address, headers = re.sub(r"\{\w+\}", str(found), path), {"Authorization": f"Bearer {token}"}
        body: dict[str, str] | None = {} if method == "PATCH" else None
        answered = falcon.testing.TestClient(app).simulate_request(method, address, headers=headers, json=body)
        return answered.status_code, answered.text.replace(str(found), "ID").partition('"instance"')[0]

    assert answer("user", foreign) == answer("user", missing)
    assert answer("user", foreign)[0] == 404
    assert (answer("administrator", foreign)[0] == 200) is administrators_may


def test_a_responder_that_does_not_say_whom_it_serves_keeps_the_application_from_starting(
    monkeypatch: pytest.MonkeyPatch, settings: AllSettings, database: Database, sessions: Sessions
) -> None:
    def on_put(_: object, __: falcon.Request, ___: falcon.Response) -> None:
        """Do nothing."""

    monkeypatch.setattr("api.resources.me.Me.on_put", on_put, raising=False)

    with pytest.raises(TypeError, match="PUT /v1/users/me: mark its responder @public, @signed_in or @administrators"):
        create_app(services(settings, database, sessions=sessions))
