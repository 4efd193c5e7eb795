"""The sync with a CRM in a schema of its own: who has changed, and what of each person the CRM has; no value of it."""

from alembic import context, op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_TABLES = """
create schema crm;

create table crm.contacts (
    user_id uuid primary key,
    user_sequence bigint not null default 0,
    auth_sequence bigint not null default 0,
    last_sign_in_at timestamptz,
    revision bigint not null default 1,
    changed_at timestamptz not null default clock_timestamp(),
    due_at timestamptz,
    must_send boolean not null default false,
    fence bigint not null default 0,
    leased_until timestamptz,
    is_unsure boolean not null default false,
    version bigint not null default 0,
    digest bytea,
    synced_version bigint,
    synced_at timestamptz,
    is_removed boolean not null default false,
    attempts integer not null default 0,
    error text,
    failed_at timestamptz,
    set_aside_at timestamptz,
    constraint contacts_set_aside_check check (set_aside_at is null or due_at is null)
);
create index contacts_due_idx on crm.contacts (due_at) where due_at is not null;
create index contacts_set_aside_idx on crm.contacts (set_aside_at) where set_aside_at is not null;
create index contacts_removed_idx on crm.contacts (synced_at) where is_removed;

create table crm.gate (
    id boolean primary key default true constraint gate_id_check check (id),
    next_request_at timestamptz not null default clock_timestamp(),
    open_from timestamptz not null default clock_timestamp(),
    failures integer not null default 0,
    failing_since timestamptz,
    reason text
);
insert into crm.gate default values;

create table crm.positions (
    topic text not null,
    partition integer not null,
    next_offset bigint,
    epoch bigint not null,
    gap text,
    primary key (topic, partition)
);

-- The people of before: they are sent too.
insert into crm.contacts (user_id, due_at) select id, clock_timestamp() from users;
"""

_GRANTS = """
grant usage on schema crm to {crm}, {operator}, {worker};
grant select, insert, update on crm.contacts, crm.positions to {crm};
grant select, update on crm.gate to {crm};
-- The current row of a person, read when it is sent.
grant select (id, email, name, created_at, activated_at) on users to {crm};

-- Operators see who is in step, and have people sent again; not when a person signed in.
grant select (user_id, changed_at, due_at, must_send, leased_until, is_unsure, revision, version, synced_version,
              synced_at, is_removed, attempts, error, failed_at, set_aside_at) on crm.contacts to {operator};
grant insert (user_id, due_at, must_send) on crm.contacts to {operator};
grant update (due_at, must_send, attempts, error, failed_at, set_aside_at, revision) on crm.contacts to {operator};
grant select on crm.gate to {operator};

-- The export of a person's data, and the purge of deleted people, which locks what it deletes.
grant select, delete, update (is_removed) on crm.contacts to {worker};
"""

_REVOKES = "revoke all on users from {crm}"


def upgrade() -> None:
    """Make the schema, note everyone, and grant the rights."""
    op.execute(_TABLES)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop all of it."""
    op.execute("drop schema crm cascade")
    op.execute(_REVOKES.format(**context.config.attributes["roles"]))
