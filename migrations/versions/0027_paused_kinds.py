"""Indexes of the paused kinds and their probes, by which the statements that read them are planned well."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    op.execute("create index job_kinds_paused_idx on job_kinds (kind) where paused_at is not null")
    op.execute("create index job_kinds_probe_idx on job_kinds (probe_job_id) where probe_job_id is not null")


def downgrade() -> None:
    """Drop them."""
    op.execute("drop index job_kinds_probe_idx, job_kinds_paused_idx")
