"""Jobs and batches have an owner; members of a batch are counted from the index alone."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the owners. Jobs and batches that there are belong to no user: administrators alone read them."""
    op.execute(
        """
        alter table jobs add column owner_id uuid, add column anonymous boolean not null default false;
        alter table batches add column owner_id uuid;
        drop index jobs_batch_idx;
        create index jobs_batch_idx on jobs (batch_id, state) include (attempt) where batch_id is not null;
        """
    )


def downgrade() -> None:
    """Remove them."""
    op.execute(
        """
        drop index jobs_batch_idx;
        create index jobs_batch_idx on jobs (batch_id, state) where batch_id is not null;
        alter table batches drop column owner_id;
        alter table jobs drop column owner_id, drop column anonymous;
        """
    )
