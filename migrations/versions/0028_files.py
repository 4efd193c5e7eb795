"""Files in the storage: a row for each, and the keys of those whose row was deleted; `job_files` is among them."""

from alembic import context, op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# The trigger leaves the keys also where a row is deleted by a cascade, with its user or its job, by any role.
_UP = """
create table files (
    id uuid primary key,
    key text collate "C" not null constraint files_key_key unique,
    owner_id uuid references users on delete cascade,
    job_id uuid references jobs on delete cascade,
    name text not null,
    content_type text not null,
    size bigint not null constraint files_size_check check (size >= 0),
    sha256 text not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz
);
create index files_expires_at_idx on files (expires_at) where expires_at is not null;
create index files_job_id_idx on files (job_id) where job_id is not null;
create index files_owner_id_idx on files (owner_id) where owner_id is not null;

drop table job_files;

create table file_deletions (
    key text collate "C" primary key,
    deleted_at timestamptz not null default clock_timestamp()
);

create function keep_keys_of_deleted_files() returns trigger language plpgsql security definer
    set search_path = public, pg_temp as $$
begin
    insert into file_deletions (key) select key from deleted on conflict (key) do nothing;
    return null;
end $$;
create trigger keep_keys_of_deleted_files after delete on files referencing old table as deleted
    for each statement execute function keep_keys_of_deleted_files();
"""

# A lock of a row, as the retention rule takes it, needs the right to update a column of it.
_GRANTS = """
grant select, insert, delete on files to {app}, {worker};
grant update (expires_at) on files to {worker};
grant select, delete on file_deletions to {worker};
"""


_DOWN = """
drop table files, file_deletions;
drop function keep_keys_of_deleted_files();
create table job_files (
    id uuid primary key,
    job_id uuid not null constraint job_files_job_id_key unique references jobs on delete cascade,
    name text not null,
    content_type text not null,
    size bigint not null,
    sha256 text not null,
    content bytea not null,
    created_at timestamptz not null default clock_timestamp()
);
alter table job_files alter column content set storage external;
grant select on job_files to {app}, {operator};
grant select, insert on job_files to {worker};
"""


def upgrade() -> None:
    """Create the tables, and grant the rights on them."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop them; the files themselves stay in the storage."""
    op.execute(_DOWN.format(**context.config.attributes["roles"]))
