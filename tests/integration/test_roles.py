"""Each role may do its own work in Postgres and nothing more."""

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from moneyflow.settings import SINKS, AllSettings
from tests.support.servers import RealServers

_OF_THE_OWNER = [
    "create table mine (id integer)",
    "create view mine as select 1",
    "create function mine() returns integer language sql as 'select 1'",
    "create schema mine",
    "create role mine",
    "create extension pg_stat_statements",
    "alter table users add column more text",
    "alter table jobs disable trigger all",
    "drop table users",
    "truncate jobs",
    "drop view live_workers",
    "drop index jobs_due_idx",
    "set role owner",
    "select pg_read_file('/etc/passwd')",
    "copy (select 1) to program 'true'",
    "insert into alembic_version values ('x')",
]
_PEOPLE = [
    "select * from users",
    "select * from user_tokens",
    "select * from idempotency_keys",
    *[f"select * from {name}" for name in ("invitations", "email_changes", "sent_mails", "categories", "transactions")],
    *[f"select * from {name}" for name in ("invitations", "email_changes", "sent_mails", "payments", "exports")],
    *[f"select * from {name}" for name in ("imports", "import_refusals", "import_keys")],
    *[f"select * from {name}" for name in ("files", "file_deletions")],
]
#: What a sink or an operator sees of the events that could not be written; the API, workers and the relay do not.
_DEAD_EVENTS = ["select value from event_dead_letters", "insert into event_dead_letters (sink) values ('x')"]
_BOUNCES = ["select * from mail_suppressions", "delete from mail_suppressions"]
_USER_OF_AN_ADDRESS = "select user_id_of('a@example.com')"
_NOT_OF_THE_RELAY = [
    *_PEOPLE,
    *_DEAD_EVENTS,
    *_BOUNCES,
    _USER_OF_AN_ADDRESS,
    "delete from jobs",
    "update outbox_events set topic = 'x'",
    "insert into job_dead_letters (fence) values (1)",
    "update workers set heartbeat_at = now()",
    "delete from job_attempts",
    "update job_attempts set outcome = 'x'",
]
_OF_ANALYTICS_ALONE = [
    "select * from analytics.transactions",
    "select * from analytics.people",
    "select * from analytics.rebuilds",
    "update analytics.daily_sums set income = 1",
    "insert into analytics.erased_users values (gen_random_uuid())",
]
_NOT_OF_ANALYTICS = [
    # A name without a schema is that of its own one.
    *[one.replace("from transactions", "from public.transactions") for one in _PEOPLE],
    *_BOUNCES,
    _USER_OF_AN_ADDRESS,
    # Of a transaction it sees what the events carry.
    "select note, tags from public.transactions",
    "select payment_id from public.transactions",
    "update public.transactions set amount = 1",
    "select actor_id, correlation_id from audit.events",
    "insert into audit.positions values ('x', 0, 0, 1)",
    "select * from outbox_events",
    "select * from jobs",
    # What it has done, and whom it has erased, stays.
    "delete from analytics.rebuilds",
    "delete from analytics.erased_users",
]
_OF_ANALYTICS = [
    "select id, user_id, kind, amount, currency, date, category_id, version, deleted_at from public.transactions",
    "select topic, partition, position, kafka_offset, value from audit.events",
    "delete from analytics.transactions",
    "update analytics.generations set filling = null",
]
_NOT_OF_THE_API = [
    # It asks for payments and refunds; what became of them is the workers' to write.
    "update payments set state = 'succeeded'",
    # It asks for imports; what is read of them is the workers' to write.
    "update imports set rows_added = 1",
    "insert into import_refusals (row) values (1)",
    "select * from import_keys",
    "update payments set amount = 1",
    "delete from payments",
    "update exports set file_id = null",
    "delete from exports",
    *_DEAD_EVENTS,
    "select * from sandbox.charges",
    "update files set expires_at = null",
    "select * from file_deletions",
    "update payment_webhooks set event_id = 'x'",
    *_BOUNCES,
    "select * from unpublished",
    "update jobs set state = 'succeeded'",
    "update jobs set payload = '{}'",
    "delete from jobs",
    "insert into job_attempts (fence) values (1)",
    "update workers set heartbeat_at = now()",
    "update job_kinds set paused_at = now()",
    "update schedules set paused_at = now()",
    "delete from idempotency_keys",
    "delete from transactions",
    "select * from operations",
]
_NOT_OF_THE_WORKER = [
    *_DEAD_EVENTS,
    "insert into exports (id) values (gen_random_uuid())",
    "update exports set user_id = gen_random_uuid()",
    "insert into categories (id) values (gen_random_uuid())",
    "delete from payments",
    "insert into imports (id) values (gen_random_uuid())",
    "update imports set plan = '{}'",
    "delete from import_keys",
    "delete from sandbox.charges",
    "update files set key = ''",
    "insert into file_deletions (key) values ('x')",
    "insert into payment_webhooks (event_id) values ('x')",
    "insert into operations (id) values (gen_random_uuid())",
    "update operation_items set result = 'x'",
    "select * from unpublished",
]
_NOT_OF_THE_OPERATOR = [
    *_PEOPLE,
    _DEAD_EVENTS[1],
    "update event_dead_letters set value = ''",
    "delete from event_dead_letters",
    "insert into mail_suppressions (address_hash) values ('x')",
    "update mail_suppressions set expires_at = now()",
    "select last_sign_in_at from crm.contacts",
    "update crm.contacts set version = 1",
]
_OF_THE_RELAY_ALONE = [
    "select * from outbox_events",
    "update outbox_events set topic = 'x'",
    "delete from outbox_events",
    "select * from job_dead_letters",
    "delete from job_dead_letters",
    # Who did what to which jobs, and why, stays.
    "delete from operations",
    "delete from operation_items",
]
_NOT_OF_THE_AUDITOR = [
    *_PEOPLE,
    *_BOUNCES,
    _USER_OF_AN_ADDRESS,
    *[f"select * from {name}" for name in ("jobs", "job_attempts", "job_dead_letters", "outbox_events", "workers")],
    "insert into jobs (id) values (gen_random_uuid())",
    "delete from outbox_events",
    # Of itself it may report, by two functions; it forges no other event.
    "insert into outbox_events (id, topic, key, value) values (gen_random_uuid(), 'user.events', 'k', '')",
    "update event_sequences set sequence = 1",
    "select * from system_event_repeats",
]
_NOT_OF_A_SINK = [
    "update public.event_dead_letters set value = ''",
    "update public.event_dead_letters set sink = 'x'",
    "delete from public.event_dead_letters",
]
_OF_THE_API = [
    "select * from analytics.daily_sums, analytics.monthly_sums, analytics.generations, analytics.progress",
    "select created_at from outbox_events order by sequence limit 1",
    "select * from users, user_tokens, jobs, job_attempts, idempotency_keys",
    "update jobs set unique_key = null",
    _USER_OF_AN_ADDRESS,
    "update users set name = name",
    "delete from users",
    "update transactions set note = ''",
    "delete from categories",
    "delete from files",
]
_OF_THE_WORKER = [
    "select * from users, user_tokens, jobs, job_attempts, workers, idempotency_keys, live_workers",
    *[
        f"delete from {name}"
        for name in (
            "users",
            "user_tokens",
            "jobs",
            "workers",
            "idempotency_keys",
            "mail_suppressions",
            "transactions",
            "categories",
            "files",
            "file_deletions",
            "imports",
        )
    ],
    "update mail_suppressions set expires_at = now()",
    "delete from crm.contacts",
]
_OF_THE_OPERATOR = [
    "select * from analytics.funnel, analytics.days",
    "select * from jobs, job_attempts, workers, live_workers, operations, operation_items, unpublished",
    *_BOUNCES,
    _USER_OF_AN_ADDRESS,
    "update jobs set state = 'discarded'",
    "update operations set state = 'ended'",
    "select user_id, error from crm.contacts",
    "update crm.contacts set due_at = now(), must_send = true",
    "select * from event_dead_letters",
    "update event_dead_letters set state = 'due', due_at = now(), due_by = null, resolved_at = null",
]
_OF_THE_AUDIT_LOGS_OWNER = [
    "truncate audit.events",
    "delete from audit.events",
    "update audit.events set value = ''",
    "delete from audit.chains",
    "alter table audit.events disable trigger all",
    "alter table audit.events owner to owner",
    "drop table audit.events",
    "drop trigger refuse_truncate on audit.events",
    "drop schema audit cascade",
    "delete from audit.events_default",
    "insert into audit.seals (topic) values ('x')",
    "update audit.seals set fault = null",
    "delete from audit.seals",
]
_OF_THE_CRM = [
    "select id, email, name, created_at, activated_at from users",
    "update crm.contacts set due_at = now()",
    "update crm.gate set failures = 0",
    "insert into crm.positions values ('x', 0, 0, 1)",
]
_NOT_OF_THE_CRM = [
    *_PEOPLE,
    *_BOUNCES,
    "select password_hash from users",
    "update users set name = ''",
    *[f"select * from {name}" for name in ("jobs", "outbox_events", "audit.events")],
    "delete from crm.contacts",
]
_OF_THE_RELAY = [
    "select * from jobs, job_attempts, job_dead_letters, outbox_events, workers, live_workers",
    "update jobs set state = 'queued'",
    "delete from outbox_events",
    "delete from job_dead_letters",
]


def _refused(settings: AllSettings, role: str, statements: list[str]) -> list[str]:
    """Run each statement as the role, take back what it did, and return those that Postgres refused the role."""
    refused = []
    conninfo = settings.conninfo(role, application_name="test")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for sql in statements:
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(sql)
            except errors.InsufficientPrivilege:
                refused.append(sql)
    return refused


@pytest.mark.parametrize("role", ["app", "worker", "relay", "operator", *SINKS])
def test_no_role_but_the_owner_changes_the_schema_or_reaches_beyond_it(role: str, settings: AllSettings) -> None:
    assert _refused(settings, role, _OF_THE_OWNER) == _OF_THE_OWNER


def test_the_relay_sees_no_person_and_makes_no_job(settings: AllSettings) -> None:
    assert _refused(settings, "relay", _NOT_OF_THE_RELAY) == _NOT_OF_THE_RELAY


@pytest.mark.parametrize("role", ["app", "worker", "operator"])
def test_no_role_but_the_relay_takes_anything_out_of_the_outbox(role: str, settings: AllSettings) -> None:
    assert _refused(settings, role, _OF_THE_RELAY_ALONE) == _OF_THE_RELAY_ALONE


def test_the_api_enqueues_jobs_and_acts_on_none(settings: AllSettings) -> None:
    assert _refused(settings, "app", _NOT_OF_THE_API) == _NOT_OF_THE_API


def test_a_worker_writes_no_operation(settings: AllSettings) -> None:
    assert _refused(settings, "worker", _NOT_OF_THE_WORKER) == _NOT_OF_THE_WORKER


def test_an_operator_sees_no_person_and_suppresses_no_mail(settings: AllSettings) -> None:
    assert _refused(settings, "operator", _NOT_OF_THE_OPERATOR) == _NOT_OF_THE_OPERATOR


@pytest.mark.parametrize("role", ["app", "worker", "relay", "operator", *SINKS, "owner"])
def test_no_role_that_logs_in_removes_or_changes_what_is_in_the_audit_log(role: str, settings: AllSettings) -> None:
    assert _refused(settings, role, _OF_THE_AUDIT_LOGS_OWNER) == _OF_THE_AUDIT_LOGS_OWNER


@pytest.mark.parametrize("table", ["events", "chains", "positions", "seals"])
def test_not_even_a_superuser_truncates_the_audit_log(table: str, servers: RealServers, settings: AllSettings) -> None:
    conninfo = make_conninfo(servers.postgres.superuser_conninfo(), dbname=settings.postgres_db)

    with psycopg.connect(conninfo) as connection, pytest.raises(errors.InsufficientPrivilege, match="keeps its rows"):
        connection.execute(f"truncate audit.{table} cascade")


def test_the_owner_of_the_audit_log_cannot_log_in_and_the_migration_alone_becomes_it(
    servers: RealServers, settings: AllSettings
) -> None:
    with psycopg.connect(servers.postgres.superuser_conninfo()) as connection:
        members = connection.execute(
            "select member.rolname from pg_auth_members join pg_roles owned on owned.oid = roleid "
            "join pg_roles member on member.oid = pg_auth_members.member where owned.rolname = 'audit_owner'"
        ).fetchall()
        may_log_in = connection.execute("select rolcanlogin from pg_roles where rolname = 'audit_owner'").fetchone()

    assert members == [("audit_owner_members",)], "through which the owner inherits nothing"
    assert may_log_in == (False,)
    assert _refused(settings, "owner", ["set role audit_owner"]) == []


@pytest.mark.parametrize("sink", ["audit", "daily_sign_ups"])
def test_a_sink_has_nothing_to_do_with_the_platforms_tables(sink: str, settings: AllSettings) -> None:
    assert _refused(settings, sink, _NOT_OF_THE_AUDITOR) == _NOT_OF_THE_AUDITOR


@pytest.mark.parametrize("sink", SINKS)
def test_a_sink_changes_the_outcome_of_a_dead_letter_and_never_the_record(sink: str, settings: AllSettings) -> None:
    outcome = "update public.event_dead_letters set state = 'dead', attempts = 2, error_message = ''"

    assert _refused(settings, sink, _NOT_OF_A_SINK) == _NOT_OF_A_SINK
    assert _refused(settings, sink, ["select * from public.event_dead_letters", outcome]) == []


def test_each_role_can_do_its_work(settings: AllSettings) -> None:
    assert _refused(settings, "app", _OF_THE_API) == []
    assert _refused(settings, "worker", _OF_THE_WORKER) == []
    assert _refused(settings, "operator", _OF_THE_OPERATOR) == []
    assert _refused(settings, "relay", _OF_THE_RELAY) == []


def test_the_sink_of_analytics_reads_of_transactions_what_events_carry_and_sees_no_person(
    settings: AllSettings,
) -> None:
    assert _refused(settings, "analytics", _OF_ANALYTICS) == []
    assert _refused(settings, "analytics", _NOT_OF_ANALYTICS) == _NOT_OF_ANALYTICS


@pytest.mark.parametrize("role", ["app", "worker", "relay", "operator", "audit", "crm"])
def test_no_other_role_sees_the_rows_of_people_in_analytics_or_changes_a_sum(role: str, settings: AllSettings) -> None:
    assert _refused(settings, role, _OF_ANALYTICS_ALONE) == _OF_ANALYTICS_ALONE


def test_the_sink_of_the_crm_reads_what_it_sends_of_people_and_nothing_else(settings: AllSettings) -> None:
    assert _refused(settings, "crm", _OF_THE_CRM) == []
    assert _refused(settings, "crm", _NOT_OF_THE_CRM) == _NOT_OF_THE_CRM


def test_one_roles_password_opens_no_other_role(settings: AllSettings) -> None:
    wrong = settings.model_copy(update={"postgres_password": settings.model_dump()["postgres_relay_password"]})

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong.conninfo("app", application_name="test"))
