"""Indexes of the lists of transactions: by day, kind and category, by amount, and by tags and text."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# Both extensions are trusted: the owner of the database may create them.
#
# Each way to the transactions of a user has one index, which has the user's id in a form of its own, or no such id:
# ids of categories are unique by themselves. So a statement that names this form is planned in one way only, whatever
# the statistics say of the user. All transactions are merged from those of the two kinds.
# The search index has a short pending list, because each search reads it, and the insert that fills it writes it into
# the index.
_UP = """
create extension if not exists pg_trgm;
create extension if not exists btree_gin;
create index transactions_expense_idx on transactions (user_id, date desc, id desc)
    where kind = 'expense' and deleted_at is null;
create index transactions_income_idx on transactions (user_id, date desc, id desc)
    where kind = 'income' and deleted_at is null;
create index transactions_category_date_idx on transactions (category_id, date desc, id desc)
    where deleted_at is null;
create index transactions_amount_idx on transactions (uuid_send(user_id), amount) where deleted_at is null;
create index transactions_search_idx on transactions using gin ((user_id::text), tags, note gin_trgm_ops)
    with (gin_pending_list_limit = 256) where deleted_at is null;
"""

_DOWN = """
drop index transactions_search_idx, transactions_amount_idx, transactions_category_date_idx, transactions_income_idx,
    transactions_expense_idx;
drop extension btree_gin;
drop extension pg_trgm;
"""


def upgrade() -> None:
    """Create the indexes."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
