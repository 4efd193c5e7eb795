"""What each worker runs, what waits for the relay, and an index of limited due jobs by kind."""

from alembic import context, op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# SECURITY: the application may see how much waits, and not what.
_UP = """
create index jobs_limited_due_idx on jobs (kind, priority, due_at) include (attempt)
    where state = 'scheduled' and waits_for = 'limit';
alter table workers add column threads smallint, add column running jsonb;
create view unpublished as
select 'dead_letter' as kind, count(*) as rows, min(created_at) as oldest_at from job_dead_letters
union all
select 'event', count(*), min(created_at) from outbox_events;
grant select on unpublished to {app};
"""

_DOWN = """
drop view unpublished;
drop index jobs_limited_due_idx;
alter table workers drop column threads, drop column running;
"""


def upgrade() -> None:
    """Create the index, the columns and the view."""
    op.execute(_UP.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
