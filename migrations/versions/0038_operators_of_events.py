"""Operators see and repair the event side: groups of dead letters, positions of sinks, and the events of the audit log.

A sink that is made by a later migration grants the operator the same on its `positions`; a test of each sink asks.
"""

from alembic import context, op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

# What sinks may update so far; the text of the group follows the text of the error.
_GROUPS = """
alter table event_dead_letters add column error_group text;
do $$
declare sink record;
begin
    for sink in
        select grantee from information_schema.column_privileges
        where table_schema = 'public' and table_name = 'event_dead_letters' and column_name = 'error_message'
            and privilege_type = 'UPDATE' and grantee <> '{owner}'
    loop
        execute format('grant update (error_group) on event_dead_letters to %I', sink.grantee);
    end loop;
end $$;
"""

# A schema's owner alone may grant: each in its turn.
_POSITIONS = """
do $$
declare sink record;
begin
    for sink in
        select relation.relnamespace::regnamespace as schema, relation.relowner::regrole as owner
        from pg_class relation where relation.relname = 'positions' and relation.relkind = 'r'
    loop
        execute format('set local role %s', sink.owner);
        execute format('{on_schema}', sink.schema);
        execute format('{on_table}', sink.schema);
    end loop;
end $$;
reset role;
"""
_GRANT = {
    "on_schema": "grant usage on schema %s to {operator}",
    "on_table": "grant select, update (next_offset, epoch, gap) on %s.positions to {operator}",
}
_REVOKE = {
    "on_schema": "revoke usage on schema %s from {operator}",
    "on_table": "revoke all on %s.positions from {operator}",
}

_AUDIT = """
set local role {audit_owner};
grant select (topic, partition, kafka_offset, id, type, subject, time, actor_id, correlation_id, value)
    on audit.events to {operator};
reset role;
"""
_NO_AUDIT = """
set local role {audit_owner};
revoke all on audit.events from {operator};
reset role;
"""
_NO_GROUPS = "alter table event_dead_letters drop column error_group"


def upgrade() -> None:
    """Add the groups, and grant the operator the rights."""
    roles = context.config.attributes["roles"]
    op.execute(_GROUPS.format(**roles))
    op.execute(_POSITIONS.format(**{name: statement.format(**roles) for name, statement in _GRANT.items()}))
    op.execute(_AUDIT.format(**roles))


def downgrade() -> None:
    """Take the rights back, and drop the groups."""
    roles = context.config.attributes["roles"]
    op.execute(_NO_AUDIT.format(**roles))
    op.execute(_POSITIONS.format(**{name: statement.format(**roles) for name, statement in _REVOKE.items()}))
    op.execute(_NO_GROUPS)
