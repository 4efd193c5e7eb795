"""Payments, the webhooks about them, and the ledger of the payment sandbox in a schema of its own."""

from alembic import context, op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# A payment outlives its account, as money was moved; then nothing in it leads to the person.
_UP = """
create table payments (
    id uuid primary key,
    user_id uuid references users on delete set null,
    amount numeric not null constraint payments_amount_check check (amount > 0 and amount < 1e15),
    currency text not null,
    description text not null,
    category_id uuid references categories on delete set null,
    source text,
    state text not null default 'pending'
        constraint payments_state_check check (state in ('pending', 'succeeded', 'declined', 'refunded')),
    decline_code text,
    job_id uuid not null,
    attempted_at timestamptz,
    provider text,
    charge_id text,
    refund_key uuid,
    refund_transaction_id uuid,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    constraint payments_declined_check check ((state = 'declined') = (decline_code is not null)),
    constraint payments_charged_check check ((state in ('succeeded', 'refunded')) = (charge_id is not null)),
    constraint payments_source_check check ((state = 'pending') = (source is not null))
);
create unique index payments_job_id_key on payments (job_id);
create index payments_user_id_idx on payments (user_id, id);
create index payments_category_id_idx on payments (category_id) where category_id is not null;
create index payments_pending_idx on payments (created_at) where state = 'pending';

create function forget_payer() returns trigger language plpgsql as $$
begin
    new.description := '';
    return new;
end $$;
create trigger forget_payer before update of user_id on payments for each row when (new.user_id is null)
    execute function forget_payer();

create table payment_webhooks (
    event_id text primary key,
    received_at timestamptz not null default clock_timestamp()
);
create index payment_webhooks_received_at_idx on payment_webhooks (received_at);

create schema sandbox;
create table sandbox.charges (
    key uuid primary key,
    payment_id uuid not null,
    amount numeric not null constraint charges_amount_check check (amount > 0),
    currency text not null,
    body_hash bytea not null,
    behaviour text not null,
    requests integer not null default 1,
    charge_id text unique,
    decline_code text,
    created_at timestamptz not null default clock_timestamp(),
    constraint charges_outcome_check check (charge_id is null or decline_code is null)
);
create index charges_payment_id_idx on sandbox.charges (payment_id);
create table sandbox.refunds (
    charge_id text primary key references sandbox.charges (charge_id),
    key uuid not null,
    requests integer not null default 1,
    refunded_at timestamptz
);
"""

_GRANTS = """
grant select, insert on payments to {app};
grant update (refund_key, updated_at) on payments to {app};
grant insert, select (event_id) on payment_webhooks to {app};
grant select, insert, update on payments to {worker};
grant select, update, delete on payment_webhooks to {worker};
grant usage on schema sandbox to {worker};
grant select, insert, update on sandbox.charges, sandbox.refunds to {worker};
"""


def upgrade() -> None:
    """Create the tables, and grant the rights on them."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop them."""
    op.execute("drop schema sandbox cascade; drop table payment_webhooks, payments; drop function forget_payer")
