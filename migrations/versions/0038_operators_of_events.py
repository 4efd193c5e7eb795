"""Operators see and repair the event side: groups of dead letters, and positions of sinks.

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
        {statements}
    end loop;
end $$;
reset role;
"""
_GRANT = """
execute format('grant usage on schema %s to {operator}', sink.schema);
execute format('grant select, update (next_offset, epoch, gap) on %s.positions to {operator}', sink.schema);
"""
# Operators read other tables of some of these schemas.
_REVOKE = """
execute format('revoke all on %s.positions from {operator}', sink.schema);
"""

_NO_GROUPS = "alter table event_dead_letters drop column error_group"


def upgrade() -> None:
    """Add the groups, and grant the operator the rights."""
    roles = context.config.attributes["roles"]
    op.execute(_GROUPS.format(**roles))
    op.execute(_POSITIONS.format(statements=_GRANT.format(**roles)))


def downgrade() -> None:
    """Take the rights back, and drop the groups."""
    roles = context.config.attributes["roles"]
    op.execute(_POSITIONS.format(statements=_REVOKE.format(**roles)))
    op.execute(_NO_GROUPS)
