"""A role for each process: workers and operators apart from the API; the audit log owned by one without a login."""

from alembic import context, op

revision = "0017"
down_revision = "0014"
branch_labels = None
depends_on = None

# Workers and operators were the API's role so far, so they begin with all that it may do.
_SEPARATE = """
grant usage on schema public to {worker}, {operator};
do $$
declare granted record;
begin
    for granted in
        select relation.oid::regclass as name, acl.privilege_type as privilege
        from pg_class relation cross join aclexplode(relation.relacl) acl
        where relation.relnamespace = 'public'::regnamespace and acl.grantee = '{app}'::regrole
    loop
        execute format('grant %s on %s to {worker}, {operator}', granted.privilege, granted.name);
    end loop;
end $$;
"""

_NARROW = """
-- The API enqueues and reads. It runs no job, and acts on none that another has enqueued: of an existing job it updates
-- the unique key alone.
revoke update, delete on jobs from {app};
grant update (unique_key) on jobs to {app};
revoke insert, update, delete on job_attempts, workers, job_starts, job_kinds from {app};
revoke update, delete on schedules from {app};
revoke delete on batches, event_sequences, idempotency_keys from {app};
revoke insert on job_dead_letters, job_files from {app};
revoke all on mail_suppressions, unpublished from {app};
revoke all on unpublished from {worker};
revoke all on operations, operation_items from {app};
-- Workers run jobs; what operators did, and why, is the operators' to write.
revoke insert, update on operations, operation_items from {worker};
-- Operators act on jobs, and see no person and no answer.
revoke all on users, user_tokens, idempotency_keys from {operator};
revoke insert on job_files from {operator};
-- They list and release suppressions of mails, and act on the jobs of a person. An address gives its user's id, and no
-- id gives an address.
revoke insert, update on mail_suppressions from {operator};
create function user_id_of(address text) returns uuid language sql stable security definer
    set search_path = public, pg_temp as $$ select id from users where lower(email) = lower(address) $$;
revoke all on function user_id_of from public;
grant execute on function user_id_of to {app}, {worker}, {operator};
"""

_OWN = """
do $$ begin execute format('grant create on database %I to {audit_owner}', current_database()); end $$;
grant create, usage on schema audit to {audit_owner};
alter table audit.events owner to {audit_owner};
alter table audit.chains owner to {audit_owner};
alter table audit.positions owner to {audit_owner};
alter schema audit owner to {audit_owner};
do $$ begin execute format('revoke create on database %I from {audit_owner}', current_database()); end $$;

set local role {audit_owner};
-- For backups.
grant usage on schema audit to {owner};
grant select on audit.events, audit.chains, audit.positions to {owner};
create function audit.refuse_truncate() returns trigger language plpgsql as $$
begin
    raise exception '%.% keeps its rows: it cannot be truncated', tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
create trigger refuse_truncate before truncate on audit.events execute function audit.refuse_truncate();
create trigger refuse_truncate before truncate on audit.chains execute function audit.refuse_truncate();
create trigger refuse_truncate before truncate on audit.positions execute function audit.refuse_truncate();
reset role;
"""

# A table cannot be given back by a role that is not a member of the receiver, so the rows move to new tables.
_GIVE_BACK = """
do $$ begin execute format('grant create on database %I to {audit_owner}', current_database()); end $$;
set local role {audit_owner};
alter schema audit rename to audit_kept;
reset role;
do $$ begin execute format('revoke create on database %I from {audit_owner}', current_database()); end $$;

create schema audit;
create table audit.events (
    topic text not null,
    partition integer not null,
    position bigint not null,
    kafka_offset bigint not null,
    id text not null,
    type text not null,
    subject text not null,
    time timestamptz not null,
    actor_id text,
    correlation_id text,
    key bytea,
    value bytea not null,
    previous_hash bytea not null,
    hash bytea not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (topic, partition, position)
);
create table audit.chains (
    topic text not null,
    partition integer not null,
    height bigint not null,
    head_hash bytea not null,
    primary key (topic, partition)
);
create table audit.positions (
    topic text not null,
    partition integer not null,
    next_offset bigint,
    epoch bigint not null,
    gap text,
    primary key (topic, partition)
);
insert into audit.events select * from audit_kept.events;
insert into audit.chains select * from audit_kept.chains;
insert into audit.positions select * from audit_kept.positions;
create unique index events_id_key on audit.events (id);
create index events_subject_idx on audit.events (subject, time);
grant usage on schema audit to {audit};
grant select, insert on audit.events to {audit};
grant select, insert, update on audit.chains, audit.positions to {audit};

set local role {audit_owner};
drop table audit_kept.events, audit_kept.chains, audit_kept.positions;
drop function audit_kept.refuse_truncate();
drop schema audit_kept;
reset role;
"""

_WIDEN = """
revoke update (unique_key) on jobs from {app};
grant select, insert, update, delete on jobs, job_attempts, workers, idempotency_keys, batches, job_kinds, job_starts,
    event_sequences to {app};
grant select, update, delete on schedules to {app};
grant insert on job_dead_letters, job_files to {app};
grant select, insert, update on operations, operation_items to {app};
grant select, insert, update, delete on mail_suppressions to {app};
grant select on unpublished to {app};
drop function user_id_of;
revoke all on all tables in schema public from {worker}, {operator};
revoke usage on schema public from {worker}, {operator};
"""


def upgrade() -> None:
    """Separate the roles, narrow each to its work, and give the audit log to its owner."""
    for statements in (_SEPARATE, _NARROW, _OWN):
        op.execute(statements.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Give the audit log back to the schema's owner, and the API all rights on jobs."""
    for statements in (_GIVE_BACK, _WIDEN):
        op.execute(statements.format(**context.config.attributes["roles"]))
