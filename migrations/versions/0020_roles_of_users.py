"""Users have a role."""

from alembic import op

revision = "0020"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the role; the accounts that there are belong to users."""
    op.execute(
        "alter table users add column role text not null default 'user' "
        "constraint users_role_check check (role in ('user', 'administrator'))"
    )


def downgrade() -> None:
    """Remove it."""
    op.execute("alter table users drop column role")
