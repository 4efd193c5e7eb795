"""Imports of statements: what was sent, what was refused, and the keys of what was taken."""

from alembic import context, op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# The keys stay as long as the account: an entry that was taken once is never taken again.
_UP = """
create table imports (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    job_id uuid not null constraint imports_job_id_key unique,
    file_id uuid references files on delete set null,
    name text not null,
    size bigint not null,
    plan jsonb not null,
    outcome text constraint imports_outcome_check check (outcome in ('succeeded', 'failed')),
    error text,
    rows_read integer not null default 0,
    rows_added integer not null default 0,
    rows_duplicate integer not null default 0,
    rows_refused integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    constraint imports_error_check check ((outcome is not distinct from 'failed') = (error is not null)),
    constraint imports_finished_check check ((outcome is null) = (finished_at is null)),
    constraint imports_rows_check check (rows_read = rows_added + rows_duplicate + rows_refused)
);
create index imports_user_id_idx on imports (user_id);
create index imports_file_id_idx on imports (file_id) where file_id is not null;
create index imports_created_at_idx on imports (created_at);

create table import_refusals (
    import_id uuid not null references imports on delete cascade,
    row integer not null,
    line integer not null,
    reason text not null,
    primary key (import_id, row)
);

create table import_keys (
    user_id uuid not null references users on delete cascade,
    key bytea not null,
    primary key (user_id, key)
);
"""

# A lock of a row, as the retention rule takes it, needs the right to update a column of it.
_GRANTS = """
grant select, insert on imports to {app};
grant select on import_refusals to {app};
grant select, delete on imports to {worker};
grant update (file_id, outcome, error, rows_read, rows_added, rows_duplicate, rows_refused, finished_at) on imports
    to {worker};
grant select, insert on import_refusals, import_keys to {worker};
"""


def upgrade() -> None:
    """Create the tables, and grant the rights on them."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop them."""
    op.execute("drop table import_keys, import_refusals, imports")
