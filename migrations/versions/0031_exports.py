"""Exports of statements and of a person's data."""

from alembic import context, op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_UP = """
create table exports (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    format text not null constraint exports_format_check check (format in ('csv', 'pdf', 'zip')),
    first_day date,
    last_day date,
    job_id uuid not null,
    file_id uuid references files on delete set null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    constraint exports_period_check
        check ((format = 'zip') = (first_day is null) and (format = 'zip') = (last_day is null))
);
create index exports_user_id_idx on exports (user_id, id);
create index exports_expires_at_idx on exports (expires_at);
create index exports_file_id_idx on exports (file_id) where file_id is not null;
"""

# A lock of a row, as the retention rule takes it, needs the right to update a column of it.
_GRANTS = """
grant select, insert on exports to {app};
grant select, update (file_id, expires_at), delete on exports to {worker};
"""


def upgrade() -> None:
    """Create the table, and grant the rights on it."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop it; the files stay until they expire."""
    op.execute("drop table exports")
