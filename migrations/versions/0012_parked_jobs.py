"""Parked jobs: an index, so that status and metrics find what no worker can read."""

from alembic import op

revision = "0012"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index the few jobs that are parked."""
    op.execute("create index jobs_parked_idx on jobs (kind) where parked_reason is not null")


def downgrade() -> None:
    """Drop the index."""
    op.execute("drop index jobs_parked_idx")
