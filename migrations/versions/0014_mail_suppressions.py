"""Mail suppressions: addresses that bounced, as keyed hashes, until when no mail is sent to them."""

from alembic import context, op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TABLE = """
create table mail_suppressions (
    address_hash bytea primary key,
    user_id uuid not null references users on delete cascade,
    code integer not null,
    status text,
    reason text not null,
    bounced_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
);
create index ix_mail_suppressions_user_id on mail_suppressions (user_id);
"""


def upgrade() -> None:
    """Create the table, for the application's role."""
    op.execute(_TABLE)
    app = context.config.attributes["roles"]["app"]
    op.execute(f"grant select, insert, update, delete on mail_suppressions to {app}")


def downgrade() -> None:
    """Drop the table: mails are sent to all addresses again."""
    op.execute("drop table mail_suppressions")
