"""Indexes of the lists of transactions: by day, kind and category, by amount, and by tags and text."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# Both extensions are trusted: the owner of the database may create them.
# The search index has the owner's id as text, which no other index has: a statement that asks by it can be planned in
# one way only, whatever the statistics say. Its pending list is short, because each search reads it, and the insert
# that fills it writes it into the index.
_UP = """
create extension if not exists pg_trgm;
create extension if not exists btree_gin;
create index transactions_date_idx on transactions (user_id, date desc, id desc) where deleted_at is null;
create index transactions_kind_idx on transactions (user_id, kind, date desc, id desc) where deleted_at is null;
create index transactions_category_date_idx on transactions (user_id, category_id, date desc, id desc)
    where deleted_at is null;
create index transactions_amount_idx on transactions (user_id, amount) where deleted_at is null;
create index transactions_search_idx on transactions using gin ((user_id::text), tags, note gin_trgm_ops)
    with (gin_pending_list_limit = 256) where deleted_at is null;
"""

_DOWN = """
drop index transactions_search_idx, transactions_amount_idx, transactions_category_date_idx, transactions_kind_idx,
    transactions_date_idx;
drop extension btree_gin;
drop extension pg_trgm;
"""


def upgrade() -> None:
    """Create the indexes."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
