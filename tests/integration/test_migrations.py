"""The schema's history: it runs up, down and up again, and what it makes is what the models say."""

from collections.abc import Iterator

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine

from moneyflow.metadata import METADATA
from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.settings import SINKS, AllSettings, load_all
from ops.migrate import downgrade_schema, upgrade_schema

_ALEMBIC = "alembic_version"


@pytest.fixture
def owner(settings: AllSettings) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        yield connection


def _differences(settings: AllSettings) -> list[object]:
    """Return what would have to change in the database to be as the models say."""
    conninfo = settings.conninfo("owner", application_name="test")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool)
    with engine.connect() as connection:
        # A model is the partitioned table; its partitions are made by the month.
        partitions = {
            name for (name,) in connection.exec_driver_sql("select relname from pg_class where relispartition")
        }
        options = {
            "compare_type": True, "compare_server_default": True, "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "table" or name not in partitions,
        }  # fmt: skip
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))


def _described(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return every table, view, column, index, constraint and grant of the schema, in an order."""
    return connection.execute(
        """
        with ours as (select nspname as name, oid from pg_namespace where nspname not like 'pg_%' and
                      nspname <> 'information_schema')
        select 'column', table_name, column_name, data_type || is_nullable || coalesce(column_default, '')
        from information_schema.columns where table_schema in (select name from ours)
        union all select 'index', tablename, indexname, indexdef from pg_indexes
        where schemaname in (select name from ours)
        union all select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        from pg_constraint where connamespace in (select oid from ours)
        union all select 'view', viewname, '', definition from pg_views where schemaname in (select name from ours)
        union all select 'grant', table_name, grantee, string_agg(privilege_type, ',' order by privilege_type)
        from information_schema.role_table_grants where table_schema in (select name from ours)
        group by table_name, grantee
        union all select 'function', proname, '', prosrc from pg_proc where pronamespace in (select oid from ours)
        order by 1, 2, 3, 4
        """
    ).fetchall()


def test_the_history_runs_down_and_up_again_and_ends_at_the_same_schema(
    settings: AllSettings, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    before = _described(owner)

    downgrade_schema(settings, revision="base")
    left = {row[1] for row in _described(owner)}
    upgrade_schema(settings)

    assert left == {_ALEMBIC}
    assert _described(owner) == before
    assert {"jobs", "users", "outbox_events", "live_workers"} <= {row[1] for row in before}


def test_the_models_are_the_migrated_schema(settings: AllSettings) -> None:
    assert _differences(settings) == []


def test_any_difference_between_models_and_schema_is_seen(
    settings: AllSettings, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    changes = {
        "alter table jobs drop column quarantined cascade": ("add_column", "quarantined"),
        "alter table jobs add column colour text": ("remove_column", "colour"),
        "alter table users alter column email drop not null": ("modify_nullable", "email"),
        "alter table jobs alter column max_attempts type bigint": ("modify_type", "max_attempts"),
        "alter table jobs alter column attempt set default 1": ("modify_default", "attempt"),
        "drop index jobs_due_idx": ("add_index", "jobs_due_idx"),
        "drop index users_email_key": ("add_index", "users_email_key"),
        "alter table job_attempts drop constraint job_attempts_job_id_fkey": ("add_fk", "job_id"),
        "create table more (id integer primary key)": ("remove_table", "more"),
    }

    for change in changes:
        owner.execute(change)
    seen = [repr(difference) for difference in _differences(settings)]

    missing = {
        change: wanted
        for change, wanted in changes.items()
        if not any(all(repr(part) in difference for part in wanted) for difference in seen)
    }
    assert missing == {}, seen


def test_what_is_migrated_already_stays_as_it_is(
    settings: AllSettings, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    owner.execute("insert into users (id, email, name, password_hash) values (gen_random_uuid(), 'a@b.c', 'A', '')")

    upgrade_schema(settings)

    assert owner.execute("select count(*) from users").fetchone() == (1,)


def test_the_roles_may_have_other_names(environment: dict[str, str], settings: AllSettings) -> None:
    names = {"POSTGRES_USER": "relay", "POSTGRES_RELAY_USER": "audit", "POSTGRES_WORKER_USER": "operator"}
    other = load_all(environment | names | {"POSTGRES_OPERATOR_USER": "worker"})
    downgrade_schema(settings, revision="base")

    upgrade_schema(other)

    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        grantees = connection.execute(
            "select distinct grantee from information_schema.role_table_grants where table_schema = 'public' "
            "and grantee <> 'owner'"
        ).fetchall()
    assert set(grantees) == {("relay",), ("operator",), ("worker",), *((sink,) for sink in SINKS)}


_OLD_OPERATIONS = """
insert into operations (id, verb, asked_by, filter, items) values
    ('00000000-0000-7000-8000-000000000001', 'discard', 'ada', '{"kinds": ["send_email"]}', 1),
    ('00000000-0000-7000-8000-000000000002', 'discard', 'ada', '{"refused": true, "fingerprints": ["0dd9a8b2"]}', 1),
    ('00000000-0000-7000-8000-000000000003', 'restore', 'ada',
     '{"operation": "00000000-0000-7000-8000-000000000002"}', 0);
insert into operation_items (operation_id, position, job_id, fence, message, result) values
    ('00000000-0000-7000-8000-000000000001', 1, '00000000-0000-7000-8000-00000000000a', 4, null, 'discarded'),
    ('00000000-0000-7000-8000-000000000002', 1, null, null,
     '{"body": "/wA=", "properties": {"message_id": "one"}, "headers": {}, "death": {}}', 'discarded');
"""


def test_operations_on_jobs_and_messages_become_operations_on_items_and_back(
    settings: AllSettings, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    everything = "select to_jsonb(operations) - 'created_at' from operations order by id"
    items = "select to_jsonb(operation_items) from operation_items order by operation_id"
    downgrade_schema(settings, revision="0003")
    owner.execute(_OLD_OPERATIONS)
    before = [owner.execute(query).fetchall() for query in (everything, items)]

    upgrade_schema(settings)

    message = FailedMessage(tag=0, body=b"\xff\x00", properties={"message_id": "one"})
    assert owner.execute(
        "select source, item_id, guard, content is null from operation_items order by 1"
    ).fetchall() == [
        ("jobs", "00000000-0000-7000-8000-00000000000a", "4", True),
        ("refused_messages", message.fingerprint, None, False),
    ]
    assert owner.execute("select sources, filter from operations order by id").fetchall() == [
        (["jobs"], {"kinds": ["send_email"]}),
        (["refused_messages"], {"ids": ["0dd9a8b2"]}),
        (["jobs", "refused_messages"], {"operation": "00000000-0000-7000-8000-000000000002"}),
    ]
    downgrade_schema(settings, revision="0003")
    assert [owner.execute(query).fetchall() for query in (everything, items)] == before
    upgrade_schema(settings)
