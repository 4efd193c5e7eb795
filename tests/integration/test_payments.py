"""Payments over HTTP and their jobs: charged once, entered in the books, declined, refunded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID

import orjson
import psycopg
import pytest
from structlog.testing import capture_logs

from moneyflow.gateways.payments.fake import FakeProvider
from moneyflow.jobs.process_payment import ProcessPayment
from moneyflow.payments import charging
from moneyflow.payments.charging import KEY_HOURS
from moneyflow.payments.settling import settle
from moneyflow.platform.database import Database
from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store import control
from moneyflow.settings import AllSettings
from tests.support import payments, people
from tests.support.api import Api, served
from tests.support.callers import bearer
from tests.support.waiting import eventually
from workers.testing import Ran, new_mailbox, run_jobs

_BODY = {"amount": "12.34", "currency": "EUR", "description": "Two tickets", "source": "tok_ok"}


@pytest.fixture
def user_id(database: Database) -> UUID:
    return people.add(database)


@pytest.fixture
def ada(settings: AllSettings, database: Database, user_id: UUID) -> Iterator[Api]:
    with served(settings, database) as api:
        yield Api(api.client, database, settings, bearer(settings, user_id=user_id))


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


def _run(database: Database, *gateways: object) -> list[Ran]:
    """Run the jobs that are due, and those that are retried, until none is left."""
    with database.transaction() as session:
        first = run_jobs(session, gateways=gateways)
        session.execute("update jobs set due_at = clock_timestamp() where state = 'scheduled'")
        return first + run_jobs(session, gateways=gateways)


def _paid(ada: Api, provider: FakeProvider, **changed: str) -> str:
    """Pay, let the jobs run, and return the id of the payment."""
    answer = ada.call("POST", "/v1/payments", {**_BODY, **changed})
    assert answer.status_code == 202, answer.text
    _run(ada.database, provider)
    return str(answer.json["id"])


def _category(ada: Api, user_id: UUID, *, kind: str = "expense") -> str:
    category_id = new_id()
    with psycopg.connect(ada.settings.conninfo("app", application_name="test")) as connection:
        connection.execute(
            "insert into categories (id, user_id, kind, name) values (%s, %s, %s, 'Fun')", (category_id, user_id, kind)
        )
    return str(category_id)


def test_a_payment_is_accepted_charged_and_in_the_books(ada: Api, provider: FakeProvider, user_id: UUID) -> None:
    answer = ada.call("POST", "/v1/payments", _BODY)
    pending = ada.call("GET", f"/v1/payments/{answer.json['id']}")
    ran = _run(ada.database, provider)

    payment = ada.call("GET", f"/v1/payments/{answer.json['id']}").json
    job = ada.call("GET", answer.headers["Location"]).json
    (entry,) = payments.transactions(ada.database, user_id)
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['job_id']}"
    assert (pending.json["state"], pending.json["transaction_id"]) == ("pending", None)
    assert (payment["state"], payment["amount"], payment["transaction_id"]) == ("succeeded", "12.34", str(entry["id"]))
    assert (entry["kind"], entry["amount"], entry["note"]) == ("expense", Decimal("12.34"), "Two tickets")
    assert job["result"] == {"payment_id": answer.json["id"], "state": "succeeded"}
    assert [one.kind for one in ran] == ["process_payment", "send_receipt"]
    (order,) = provider.charges()
    assert (order.key, order.amount) == (UUID(answer.json["job_id"]), Decimal("12.34"))


def test_a_charge_its_transaction_and_its_event_are_there_together(ada: Api, provider: FakeProvider) -> None:
    payment_id = _paid(ada, provider)

    (entry,) = payments.transactions(ada.database)
    owner = Database(ada.settings.conninfo("owner", application_name="test"), size=1)
    owner.open()
    with owner.transaction() as session:
        rows = session.fetch_all("select value from outbox_events order by sequence")
    owner.close()
    (event,) = [event for row in rows if (event := orjson.loads(row["value"]))["type"] == "transaction.created"]
    assert (event["subject"], event["data"]["amount"]) == (str(entry["id"]), "12.34")
    assert str(entry["payment_id"]) == payment_id
    assert "tickets" not in str(event)


def test_a_receipt_names_the_amount_and_the_payment(ada: Api, provider: FakeProvider) -> None:
    mailbox = new_mailbox()
    answer = ada.call("POST", "/v1/payments", _BODY)

    _run(ada.database, provider, mailbox)

    (mail,) = mailbox.sent
    assert mail.subject == "Your payment of 12.34 EUR"
    assert answer.json["id"] in mail.text


def test_a_declined_payment_is_a_result_and_leaves_no_transaction(
    ada: Api, provider: FakeProvider, user_id: UUID
) -> None:
    answer = ada.call("POST", "/v1/payments", {**_BODY, "source": "tok_declined"})

    ran = _run(ada.database, provider)

    payment = ada.call("GET", f"/v1/payments/{answer.json['id']}").json
    assert [one.outcome for one in ran] == ["succeeded"]
    assert (payment["state"], payment["decline_code"]) == ("declined", "card_declined")
    assert payments.transactions(ada.database, user_id) == []


@pytest.mark.parametrize("source", ["tok_timeout", "tok_lost_answer"])
def test_a_payment_without_an_answer_is_retried_and_charged_once(source: str, ada: Api, provider: FakeProvider) -> None:
    payment_id = _paid(ada, provider, source=source)

    assert ada.call("GET", f"/v1/payments/{payment_id}").json["state"] == "succeeded"
    assert len(payments.transactions(ada.database)) == 1
    assert (len(provider.charges()), [kept.requests for kept in provider.kept.values()]) == (1, [2])


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"amount": "0"}, "/amount"),
        ({"amount": "-1"}, "/amount"),
        ({"amount": "1.234"}, "/amount"),
        ({"amount": "1e3"}, "/amount"),
        ({"amount": 12}, "/amount"),
        ({"amount": "1.5", "currency": "JPY"}, "/amount"),
        ({"currency": "EUX"}, "/currency"),
        ({"currency": "eur"}, "/currency"),
        ({"source": "4242424242424242"}, "/source"),
        ({"source": "tok_4242424242424242"}, "/source"),
        ({"source": "tok ok"}, "/source"),
        ({"description": "x" * 501}, "/description"),
        ({"category_id": str(new_id())}, "/category_id"),
        ({"card": "4242"}, "/card"),
    ],
)
def test_a_payment_that_does_not_fit_is_refused_and_nothing_is_left(
    changed: dict[str, object], pointer: str, ada: Api
) -> None:
    answer = ada.call("POST", "/v1/payments", {**_BODY, **changed})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    with ada.database.transaction() as session:
        assert session.fetch_all("select id from payments union all select id from jobs") == []


def test_sixty_four_requests_with_one_key_make_one_payment(ada: Api, provider: FakeProvider) -> None:
    def pay(_: int) -> tuple[int, str]:
        answer = ada.call("POST", "/v1/payments", _BODY, Idempotency_Key="the-same")
        while answer.status_code == 409:
            answer = ada.call("POST", "/v1/payments", _BODY, Idempotency_Key="the-same")
        assert answer.status_code == 202, answer.text
        return answer.status_code, answer.json["id"]

    with ThreadPoolExecutor(64) as threads:
        answers = set(threads.map(pay, range(64)))
    _run(ada.database, provider)

    assert len(answers) == 1
    assert (len(provider.charges()), len(payments.transactions(ada.database))) == (1, 1)
    other = ada.call("POST", "/v1/payments", {**_BODY, "amount": "12.35"}, Idempotency_Key="the-same")
    assert other.status_code == 422


def test_a_payment_of_a_category_is_in_it_and_one_that_was_deleted_meanwhile_is_left_out(
    ada: Api, provider: FakeProvider, user_id: UUID
) -> None:
    kept, deleted = _category(ada, user_id), _category(ada, user_id)
    for category_id in (kept, deleted):
        assert ada.call("POST", "/v1/payments", {**_BODY, "category_id": category_id}).status_code == 202
    with ada.database.transaction() as session:
        session.execute("delete from categories where id = %(id)s", {"id": deleted})

    _run(ada.database, provider)

    assert {str(one["category_id"]) for one in payments.transactions(ada.database)} == {kept, "None"}


@pytest.mark.parametrize("kind", ["income", "of another user"])
def test_a_category_of_another_kind_or_user_is_refused(kind: str, ada: Api, user_id: UUID) -> None:
    owner = user_id if kind == "income" else people.add(ada.database)
    category_id = _category(ada, owner, kind="income" if kind == "income" else "expense")

    answer = ada.call("POST", "/v1/payments", {**_BODY, "category_id": category_id})

    assert answer.json["errors"][0]["pointer"] == "/category_id"


def test_a_currency_that_the_provider_refuses_is_declined(ada: Api, provider: FakeProvider) -> None:
    payment_id = _paid(ada, provider, currency="DEM")

    payment = ada.call("GET", f"/v1/payments/{payment_id}").json
    assert (payment["state"], payment["decline_code"]) == ("declined", "currency_not_supported")


def test_an_account_that_is_deleted_while_its_payment_is_pending_is_charged_and_forgotten(
    ada: Api, provider: FakeProvider
) -> None:
    mailbox = new_mailbox()
    payment_id = UUID(ada.call("POST", "/v1/payments", _BODY).json["id"])
    assert ada.call("DELETE", "/v1/users/me").status_code == 204

    _run(ada.database, provider, mailbox)

    row = payments.row(ada.database, payment_id)
    assert (row["state"], row["user_id"], row["description"]) == ("succeeded", None, "")
    assert len(provider.charges()) == 1
    assert (payments.transactions(ada.database), mailbox.sent) == ([], [])


def test_a_dead_payment_stays_pending_and_its_replay_sends_the_same_request(ada: Api, user_id: UUID) -> None:
    provider = FakeProvider(error=PermanentError("not for now"))
    payment_id = _paid(ada, provider)
    assert payments.row(ada.database, UUID(payment_id))["state"] == "pending"
    provider.error = None

    with ada.database.transaction() as session:
        session.execute("update jobs set state = 'scheduled', due_at = clock_timestamp() where state = 'failed'")
    _run(ada.database, provider)

    row = payments.row(ada.database, UUID(payment_id))
    assert row["state"] == "succeeded"
    assert list(provider.kept) == [row["job_id"]]


def test_a_job_that_runs_again_after_its_payment_was_decided_asks_the_provider_nothing(
    ada: Api, provider: FakeProvider
) -> None:
    payment_id = _paid(ada, provider)
    with ada.database.transaction() as session:
        again = "update jobs set state = 'scheduled', due_at = clock_timestamp() where kind = 'process_payment'"
        session.execute(again)

    (ran, *_) = _run(ada.database, provider)

    assert ran.result == {"payment_id": payment_id, "state": "succeeded"}
    assert [kept.requests for kept in provider.kept.values()] == [1]
    assert len(payments.transactions(ada.database)) == 1


def test_a_charge_whose_key_may_have_expired_is_looked_for_before_it_is_made(ada: Api, provider: FakeProvider) -> None:
    payment_id = UUID(ada.call("POST", "/v1/payments", {**_BODY, "source": "tok_lost_answer"}).json["id"])
    with ada.database.transaction() as session:
        run_jobs(session, gateways=[provider])
        age = {"hours": KEY_HOURS + 1}
        session.execute("update payments set attempted_at = attempted_at - make_interval(hours => %(hours)s)", age)
    kept = provider.kept.popitem()[1]  # The provider has forgotten the key, and not the charge.
    provider.kept[new_id()] = kept

    _run(ada.database, provider)

    row = payments.row(ada.database, payment_id)
    assert kept.outcome is not None
    assert (row["state"], len(provider.kept)) == ("succeeded", 1)
    assert f"Charged(charge_id='{row['charge_id']}')" == str(kept.outcome)


def test_a_source_is_kept_until_the_payment_is_decided_and_in_no_job_event_log_or_answer(
    ada: Api, provider: FakeProvider
) -> None:
    with capture_logs() as logs:
        payment_id = ada.call("POST", "/v1/payments", {**_BODY, "source": "tok_canary"}).json["id"]
        before = payments.row(ada.database, UUID(payment_id))["source"]
        _run(ada.database, provider)

    with ada.database.transaction() as session:
        kept = session.fetch_all("select row_to_json(jobs)::text as kept from jobs")
    shown = ada.call("GET", f"/v1/payments/{payment_id}").text
    assert before == "tok_canary"
    assert payments.row(ada.database, UUID(payment_id))["source"] is None
    assert "tok_canary" not in f"{logs} {kept} {shown}"


def test_an_outage_of_the_provider_counts_for_the_breaker(ada: Api) -> None:
    ada.call("POST", "/v1/payments", _BODY)

    with ada.database.transaction() as session:
        (ran,) = run_jobs(session, gateways=[FakeProvider(error=UnavailableError("down"))])

    assert ran.outcome == "retried"
    assert ProcessPayment.breaker is not None
    assert ran.error is not None
    assert ProcessPayment.breaker.is_outage(ran.error)


def test_a_refund_gives_the_money_back_and_enters_it_as_an_income(
    ada: Api, provider: FakeProvider, user_id: UUID
) -> None:
    payment_id, mailbox = _paid(ada, provider), new_mailbox()

    answer = ada.call("POST", f"/v1/payments/{payment_id}/refund")
    _run(ada.database, provider, mailbox)

    payment = ada.call("GET", f"/v1/payments/{payment_id}").json
    expense, income = payments.transactions(ada.database, user_id)
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/jobs/{answer.json['job_id']}")
    assert payment["state"] == "refunded"
    assert (payment["transaction_id"], payment["refund_transaction_id"]) == (str(expense["id"]), str(income["id"]))
    assert (income["kind"], income["amount"], income["category_id"]) == ("income", Decimal("12.34"), None)
    assert income["note"] == "Refund: Two tickets"
    assert list(provider.refunds.values()) == [1]
    assert [mail.subject for mail in mailbox.sent] == ["Your refund of 12.34 EUR"]


@pytest.mark.parametrize("source", ["tok_timeout", "tok_lost_answer"])
def test_a_refund_without_an_answer_is_retried_and_done_once(source: str, ada: Api, provider: FakeProvider) -> None:
    payment_id = _paid(ada, provider, source=source)

    ada.call("POST", f"/v1/payments/{payment_id}/refund")
    _run(ada.database, provider)

    assert ada.call("GET", f"/v1/payments/{payment_id}").json["state"] == "refunded"
    assert [one["kind"] for one in payments.transactions(ada.database)] == ["expense", "income"]


def test_a_refund_that_is_asked_for_twice_is_one_job(ada: Api, provider: FakeProvider) -> None:
    payment_id = _paid(ada, provider)

    answers = [ada.call("POST", f"/v1/payments/{payment_id}/refund") for _ in range(2)]
    _run(ada.database, provider)
    afterwards = ada.call("POST", f"/v1/payments/{payment_id}/refund")

    assert answers[0].json == answers[1].json
    assert afterwards.status_code == 409
    assert "refunded already" in afterwards.json["detail"]
    assert list(provider.refunds.values()) == [1]


@pytest.mark.parametrize("source", ["tok_ok", "tok_declined"])
def test_what_was_not_charged_cannot_be_refunded(source: str, ada: Api, provider: FakeProvider) -> None:
    payment_id = ada.call("POST", "/v1/payments", {**_BODY, "source": source}).json["id"]
    if source == "tok_declined":
        _run(ada.database, provider)

    answer = ada.call("POST", f"/v1/payments/{payment_id}/refund")

    assert answer.status_code == 409


def test_a_refund_that_the_provider_refuses_is_a_result_and_another_may_be_asked_for(
    ada: Api, provider: FakeProvider
) -> None:
    payment_id = _paid(ada, provider)
    charges = provider.kept.copy()
    provider.kept.clear()
    refused = ada.call("POST", f"/v1/payments/{payment_id}/refund").json["job_id"]
    _run(ada.database, provider)
    assert ada.call("GET", f"/v1/jobs/{refused}").json["result"]["refusal_code"] == "no_such_charge"
    assert ada.call("GET", f"/v1/payments/{payment_id}").json["state"] == "succeeded"
    provider.kept.update(charges)

    again = ada.call("POST", f"/v1/payments/{payment_id}/refund")
    _run(ada.database, provider)

    assert again.json["job_id"] != refused
    assert ada.call("GET", f"/v1/payments/{payment_id}").json["state"] == "refunded"


def test_a_refund_whose_job_was_cancelled_is_asked_for_again_under_the_same_key(
    ada: Api, provider: FakeProvider
) -> None:
    payment_id = _paid(ada, provider)
    first = UUID(ada.call("POST", f"/v1/payments/{payment_id}/refund").json["job_id"])
    with ada.database.transaction() as session:
        control.cancel(session, first)

    second = UUID(ada.call("POST", f"/v1/payments/{payment_id}/refund").json["job_id"])
    key = payments.row(ada.database, UUID(payment_id))["refund_key"]
    _run(ada.database, provider)

    assert second != first == key
    assert ada.call("GET", f"/v1/payments/{payment_id}").json["state"] == "refunded"


@pytest.mark.parametrize(("source", "state"), [("tok_lost_answer", "succeeded"), ("tok_timeout", "declined")])
def test_a_payment_whose_job_was_cancelled_is_as_the_provider_knows_it(
    source: str, state: str, ada: Api, provider: FakeProvider
) -> None:
    payment_id = UUID(ada.call("POST", "/v1/payments", {**_BODY, "source": source}).json["id"])
    with ada.database.transaction() as session:
        run_jobs(session, gateways=[provider])
        control.cancel(session, payments.row(ada.database, payment_id)["job_id"])
        at_once = settle(session, provider)
        session.execute("update jobs set finished_at = finished_at - interval '11 minutes'")
        settled = settle(session, provider)

    row = payments.row(ada.database, payment_id)
    assert (at_once, settled) == ({}, {state: 1})
    assert (row["state"], row["decline_code"]) == (state, "cancelled" if state == "declined" else None)
    assert len(payments.transactions(ada.database)) == len(provider.charges())


def test_a_payment_whose_job_was_cancelled_before_it_ran_is_declined_and_never_charged(
    ada: Api, provider: FakeProvider
) -> None:
    payment_id = UUID(ada.call("POST", "/v1/payments", _BODY).json["id"])
    with ada.database.transaction() as session:
        control.cancel(session, payments.row(ada.database, payment_id)["job_id"])
        session.execute("update jobs set finished_at = finished_at - interval '11 minutes'")
        settle(session, provider)

    assert payments.row(ada.database, payment_id)["decline_code"] == "cancelled"
    assert provider.kept == {}


def test_pending_payments_whose_job_lives_or_waits_for_an_operator_are_left_alone(
    ada: Api, provider: FakeProvider
) -> None:
    for _ in range(2):
        ada.call("POST", "/v1/payments", _BODY)
    with ada.database.transaction() as session:
        session.execute(
            "update jobs set state = 'failed', finished_at = now() - interval '1 day' "
            "where id = (select id from jobs limit 1)"
        )
        assert settle(session, provider) == {}


@pytest.mark.parametrize("table", ["users", "categories"])
def test_a_payment_that_is_recorded_during_a_deletion_waits_for_it_and_none_deadlocks(
    table: str, ada: Api, provider: FakeProvider, user_id: UUID
) -> None:
    body = {**_BODY, "category_id": _category(ada, user_id)}
    payment_id = UUID(ada.call("POST", "/v1/payments", body).json["id"])

    def record() -> str:
        with ada.database.transaction() as own:
            return str(charging.process(own, provider, payment_id)["state"])

    with ThreadPoolExecutor(1) as pool, ada.database.transaction() as session:
        session.execute(f"select from {table} for update")
        recording = pool.submit(record)
        eventually(lambda: provider.charges() and _waits_for_a_lock(ada.database), what="the recording waits")
        session.execute(f"delete from {table}")
        session.commit()
        recorded = recording.result(30)

    row = payments.row(ada.database, payment_id)
    assert (recorded, row["state"], row["category_id"]) == ("succeeded", "succeeded", None)
    entries = [one["category_id"] for one in payments.transactions(ada.database)]
    assert entries == ([None] if table == "categories" else [])


def _waits_for_a_lock(database: Database) -> bool:
    waiting = (
        "select from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()"
    )
    with database.transaction() as session:
        return session.fetch_one(waiting) is not None


def test_a_payment_that_one_provider_was_asked_for_is_never_asked_for_at_another(
    ada: Api, provider: FakeProvider
) -> None:
    answer = ada.call("POST", "/v1/payments", {**_BODY, "source": "tok_lost_answer"})
    other = FakeProvider(name="another")
    with ada.database.transaction() as session:
        run_jobs(session, gateways=[provider])
        session.execute("update jobs set due_at = clock_timestamp()")
        (ran,) = run_jobs(session, gateways=[other])

    assert ran.outcome == "failed"
    assert "set PAYMENT_PROVIDER=fake" in str(ran.error)
    assert other.kept == {}
    assert ada.call("GET", f"/v1/payments/{answer.json['id']}").json["state"] == "pending"
