"""Events of processes about themselves, deduplicated, and two functions by which any role may write them alone."""

from alembic import context, op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# A report is due when it is the first of its kind (its period has not begun), and when its period has ended. A kind
# without a report in its period is forgotten. Processes of one name may write at the same time: rows are locked in
# their order, and what another one has locked is left to it.
_UP = """
create table system_event_repeats (
    process text not null,
    type text not null,
    fingerprint text not null,
    data jsonb not null,
    count bigint not null,
    began_at timestamptz,
    reported_at timestamptz not null default clock_timestamp(),
    primary key (process, type, fingerprint)
);

create function due_system_events(of_process text, reports jsonb, period_seconds double precision, most integer)
returns table (type text, data jsonb, count bigint, since timestamptz, sequence bigint)
language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
    report record;
    ended_before timestamptz := clock_timestamp() - make_interval(secs => period_seconds);
    is_other boolean;
begin
    for report in
        select given.type, given.fingerprint, given.data, given.other, given.count
        from jsonb_to_recordset(reports) as given (type text, fingerprint text, data jsonb, other jsonb, count bigint)
        where given.fingerprint is not null order by given.type, given.fingerprint
    loop
        is_other := not exists (
            select from system_event_repeats known
            where known.process = of_process and known.type = report.type and known.fingerprint = report.fingerprint
        ) and most <= (
            select count(*) from system_event_repeats known
            where known.process = of_process and known.type = report.type
        );
        insert into system_event_repeats as known (process, type, fingerprint, data, count)
        values (of_process, report.type, case when is_other then 'other' else report.fingerprint end,
                case when is_other then report.other else report.data end, report.count)
        on conflict (process, type, fingerprint) do update
        set data = excluded.data, count = known.count + excluded.count, reported_at = clock_timestamp();
    end loop;
    delete from system_event_repeats silent where (silent.process, silent.type, silent.fingerprint) in (
        select known.process, known.type, known.fingerprint from system_event_repeats known
        where known.process = of_process and known.count = 0 and known.began_at < ended_before
        for update skip locked
    );
    return query
    with chosen as (
        select known.type, known.fingerprint, known.data, known.count, known.began_at from system_event_repeats known
        where known.process = of_process and known.count > 0
          and (known.began_at is null or known.began_at < ended_before)
        for update skip locked
    ), begun as (
        update system_event_repeats known set count = 0, began_at = clock_timestamp() from chosen
        where known.process = of_process and known.type = chosen.type and known.fingerprint = chosen.fingerprint
    ), due as (
        select chosen.type, chosen.data, chosen.count, chosen.began_at from chosen
        union all
        select given.type, given.data, given.count, null
        from jsonb_to_recordset(reports) as given (type text, fingerprint text, data jsonb, count bigint)
        where given.fingerprint is null
    ), taken as (
        insert into event_sequences as last (key, sequence)
        select of_process, count(*) from due having count(*) > 0
        on conflict (key) do update set sequence = last.sequence + excluded.sequence
        returning last.sequence
    )
    select due.type, due.data, due.count, due.began_at,
        taken.sequence - count(*) over () + row_number() over (order by due.type, due.data)
    from due cross join taken;
end $$;

create function emit_system_event(event_id uuid, process text, value bytea) returns void
language sql security definer set search_path = public, pg_temp as $$
    insert into outbox_events (id, topic, key, value) values (event_id, 'system.events', process, value)
$$;
"""

# Any role may call the functions: of the outbox they reach `system.events` alone. Workers delete what has expired; a
# lock of a row needs the right to update a column of it.
_GRANTS = "grant select, update (reported_at), delete on system_event_repeats to {worker};"


def upgrade() -> None:
    """Create the table that only the functions write, and the functions, which each role may call."""
    op.execute(_UP)
    op.execute(_GRANTS.format(**context.config.attributes["roles"]))


def downgrade() -> None:
    """Drop them; events that were emitted stay."""
    op.execute("drop function emit_system_event; drop function due_system_events; drop table system_event_repeats")
