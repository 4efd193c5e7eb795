-- name: begin
-- Note a rebuild with a new generation, and what the sink has read; those after it are written to both generations.
insert into analytics.rebuilds (id, source, state, generation, asked_by, reason, begun_after)
select %(id)s, %(source)s, 'filling',
    1 + greatest((select max(generation) from analytics.rebuilds), (select max(current) from analytics.generations)),
    %(asked_by)s, %(reason)s,
    (select coalesce(jsonb_agg(jsonb_build_object('topic', topic, 'partition', partition, 'offset', next_offset)), '[]')
     from analytics.positions where next_offset is not null)
returning id, source, state, generation, asked_by, reason, cursor, rows_read, rows_skipped, sums_corrected;

-- name: fill
-- Let the sink write a generation too.
update analytics.generations set filling = %(generation)s where part = any(%(parts)s);

-- name: filling
-- The rebuild that is not finished; its row is locked until the transaction ends.
select id, source, state, generation, asked_by, reason, cursor, rows_read, rows_skipped, sums_corrected
from analytics.rebuilds where state = 'filling' for update;

-- name: found
-- A rebuild.
select id, source, state, generation, asked_by, reason, cursor, rows_read, rows_skipped, sums_corrected
from analytics.rebuilds where id = %(id)s;

-- name: advance
-- Move a rebuild on by a page.
update analytics.rebuilds set cursor = %(cursor)s, rows_read = rows_read + %(read)s,
    rows_skipped = rows_skipped + %(skipped)s
where id = %(id)s;

-- name: differences
-- The sums of days that a generation has and another one has not, or has otherwise.
select count(*) as differences
from (select * from analytics.daily_sums where generation = %(generation)s and transactions <> 0) as rebuilt
full join (select * from analytics.daily_sums where transactions <> 0
           and generation = (select current from analytics.generations where part = 'money')) as before
    using (user_id, day, currency, category_id)
where (rebuilt.income, rebuilt.expense, rebuilt.transactions)
    is distinct from (before.income, before.expense, before.transactions);

-- name: swap
-- Read the filled generation from now on.
with swapped as (
    update analytics.generations set current = filling, filling = null where filling = %(generation)s
)
update analytics.rebuilds set state = 'swapped', swapped_at = clock_timestamp(), sums_corrected = %(differences)s
where id = %(id)s;

-- name: cancel
-- Write the generation no more.
with stopped as (
    update analytics.generations set filling = null where filling = %(generation)s
)
update analytics.rebuilds set state = 'cancelled' where id = %(id)s;

-- name: end
-- Note that nothing is left of what a rebuild replaced, or of one that was cancelled.
update analytics.rebuilds set state = case state when 'swapped' then 'ended' else state end,
    ended_at = clock_timestamp()
where ended_at is null and state in ('swapped', 'cancelled');

-- name: unused
-- The generations of rows that may be left although they are not in use.
select part, array(select generation from generate_series(1, greatest(current, filling, (
        select max(rebuilds.generation) from analytics.rebuilds))) as generation
    where generation not in (current, coalesce(filling, current))) as generations
from analytics.generations order by part;

-- name: clean_transactions
-- Delete some rows of generations that are not in use.
delete from analytics.transactions where ctid = any(array(
    select ctid from analytics.transactions where generation = any(%(generations)s) limit %(limit)s));

-- name: clean_daily_sums
-- Delete some rows of generations that are not in use.
delete from analytics.daily_sums where ctid = any(array(
    select ctid from analytics.daily_sums where generation = any(%(generations)s) limit %(limit)s));

-- name: clean_monthly_sums
-- Delete some rows of generations that are not in use.
delete from analytics.monthly_sums where ctid = any(array(
    select ctid from analytics.monthly_sums where generation = any(%(generations)s) limit %(limit)s));

-- name: clean_people
-- Delete some rows of generations that are not in use.
delete from analytics.people where ctid = any(array(
    select ctid from analytics.people where generation = any(%(generations)s) limit %(limit)s));

-- name: clean_counted
-- Delete some rows of generations that are not in use.
delete from analytics.counted where ctid = any(array(
    select ctid from analytics.counted where generation = any(%(generations)s) limit %(limit)s));

-- name: clean_day_counts
-- Delete some rows of generations that are not in use.
delete from analytics.day_counts where ctid = any(array(
    select ctid from analytics.day_counts where generation = any(%(generations)s) limit %(limit)s));
