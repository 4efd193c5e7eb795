"""People: invitations, changes of e-mail, mails once a day; a suppression outlives the account that is replaced."""

from alembic import context, op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# A sign-up replaces an account that was never activated by giving its row another id.
_UP = """
alter table users alter column password_hash drop not null;
create index users_inactive_idx on users (created_at) where activated_at is null;
alter table user_tokens add column job_id uuid;
alter table mail_suppressions drop constraint mail_suppressions_user_id_fkey,
    add constraint mail_suppressions_user_id_fkey
        foreign key (user_id) references users on delete cascade on update cascade;

create table sent_mails (
    user_id uuid not null references users on delete cascade,
    mail text not null,
    job_id uuid not null,
    sent_at timestamptz not null default clock_timestamp(),
    primary key (user_id, mail)
);
create table email_changes (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    new_email text not null,
    old_email text,
    notice_job_id uuid,
    expires_at timestamptz not null
);
create index ix_email_changes_user_id on email_changes (user_id);
create unique index email_changes_notice_job_id_key on email_changes (notice_job_id);
create table invitations (
    id uuid primary key,
    batch_id uuid not null references batches on delete cascade,
    line integer not null,
    email text not null,
    name text not null,
    created_at timestamptz not null default clock_timestamp()
);
create index ix_invitations_batch_id on invitations (batch_id);
create table batch_refusals (
    batch_id uuid not null references batches on delete cascade,
    line integer not null,
    reason text not null,
    primary key (batch_id, line)
);
"""

_GRANTS = """
grant select, insert, update, delete on email_changes to {app};
grant select, update, delete on email_changes to {worker};
grant select, insert, update, delete on sent_mails to {worker};
grant insert on invitations to {app};
grant select, delete on invitations to {worker};
grant select, insert on batch_refusals to {app}, {worker};
grant select on batch_refusals to {operator};
"""

_DOWN = """
drop table batch_refusals, invitations, email_changes, sent_mails;
drop index users_inactive_idx;
alter table mail_suppressions drop constraint mail_suppressions_user_id_fkey,
    add constraint mail_suppressions_user_id_fkey foreign key (user_id) references users on delete cascade;
alter table user_tokens drop column job_id;
update users set password_hash = '' where password_hash is null;
alter table users alter column password_hash set not null;
"""


def upgrade() -> None:
    """Create the tables, and grant the rights on them."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop them; a person who was invited and is not activated is invited again."""
    op.execute(_DOWN)
