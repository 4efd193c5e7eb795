"""Each role may do its own work in Postgres and nothing more."""

import psycopg
import pytest
from psycopg import errors

from moneyflow.settings import AllSettings

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
    "select * from mail_suppressions",
    "select * from idempotency_keys",
]
_NOT_OF_THE_RELAY = [
    *_PEOPLE,
    "delete from jobs",
    "update outbox_events set topic = 'x'",
    "insert into job_dead_letters (fence) values (1)",
    "update workers set heartbeat_at = now()",
    "delete from job_attempts",
    "update job_attempts set outcome = 'x'",
]
_NOT_OF_THE_APPLICATION = [
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
    *[f"select * from {name}" for name in ("jobs", "job_attempts", "job_dead_letters", "outbox_events", "workers")],
    "insert into jobs (id) values (gen_random_uuid())",
    "delete from outbox_events",
]
_OF_THE_APPLICATION = [
    "select * from users, user_tokens, jobs, job_attempts, workers, idempotency_keys, live_workers",
    "select * from unpublished",
    *[f"delete from {name}" for name in ("users", "user_tokens", "jobs", "workers", "idempotency_keys")],
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


@pytest.mark.parametrize("role", ["app", "relay", "audit"])
def test_no_role_but_the_owner_changes_the_schema_or_reaches_beyond_it(role: str, settings: AllSettings) -> None:
    assert _refused(settings, role, _OF_THE_OWNER) == _OF_THE_OWNER


def test_the_relay_sees_no_person_and_makes_no_job(settings: AllSettings) -> None:
    assert _refused(settings, "relay", _NOT_OF_THE_RELAY) == _NOT_OF_THE_RELAY


def test_the_application_takes_nothing_out_of_the_outbox(settings: AllSettings) -> None:
    assert _refused(settings, "app", _NOT_OF_THE_APPLICATION) == _NOT_OF_THE_APPLICATION


def test_the_auditor_has_nothing_to_do_with_the_platforms_tables(settings: AllSettings) -> None:
    assert _refused(settings, "audit", _NOT_OF_THE_AUDITOR) == _NOT_OF_THE_AUDITOR


def test_each_role_can_do_its_work(settings: AllSettings) -> None:
    assert _refused(settings, "app", _OF_THE_APPLICATION) == []
    assert _refused(settings, "relay", _OF_THE_RELAY) == []


def test_one_roles_password_opens_no_other_role(settings: AllSettings) -> None:
    wrong = settings.model_copy(update={"postgres_password": settings.model_dump()["postgres_relay_password"]})

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong.conninfo("app", application_name="test"))
