"""Money: categories and transactions of users."""

from alembic import context, op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# A category is at the top (level 1) or under one at the top (level 2), of the same owner and kind. The foreign key
# refers to the parent's level, so that no two moves at once make a cycle or a third level.
# The category of a transaction is checked at the commit: when an account is deleted, its categories may go first.
_UP = """
create table categories (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    parent_id uuid,
    level smallint generated always as (case when parent_id is null then 1 else 2 end) stored,
    parent_level smallint generated always as (1) stored,
    kind text not null constraint categories_kind_check check (kind in ('income', 'expense')),
    name text not null,
    color text,
    version bigint not null default 1,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    constraint categories_owner_kind_key unique (user_id, id, kind),
    constraint categories_owner_level_kind_key unique (user_id, id, level, kind),
    constraint categories_parent_fkey foreign key (user_id, parent_id, parent_level, kind)
        references categories (user_id, id, level, kind)
);
create index categories_parent_idx on categories (user_id, parent_id) where parent_id is not null;

create table transactions (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    kind text not null constraint transactions_kind_check check (kind in ('income', 'expense')),
    amount numeric not null constraint transactions_amount_check check (amount > 0 and amount < 1e15),
    currency text not null,
    date date not null,
    category_id uuid,
    note text not null default '',
    tags text[] not null default '{{}}',
    payment_id uuid constraint transactions_payment_id_key unique,
    import_id uuid,
    version bigint not null default 1,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    deleted_at timestamptz,
    constraint transactions_category_fkey foreign key (user_id, category_id, kind)
        references categories (user_id, id, kind) deferrable initially deferred
);
create index transactions_category_idx on transactions (user_id, category_id);
create index transactions_deleted_idx on transactions (deleted_at) where deleted_at is not null;

grant select, insert, update, delete on categories to {app};
grant select, insert, update on transactions to {app};
grant select, update, delete on categories to {worker};
grant select, insert, update, delete on transactions to {worker};
"""


def upgrade() -> None:
    """Create the tables, and grant the rights on them."""
    op.execute(_UP.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop them."""
    op.execute("drop table transactions, categories")
