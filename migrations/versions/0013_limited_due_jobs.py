"""Limited due jobs: an index by kind, for the probes of a paused kind and the age of its oldest job."""

from alembic import op

revision = "0013"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.execute(
        "create index jobs_limited_due_idx on jobs (kind, priority, due_at) include (attempt) "
        "where state = 'scheduled' and waits_for = 'limit'"
    )


def downgrade() -> None:
    """Drop the index."""
    op.execute("drop index jobs_limited_due_idx")
