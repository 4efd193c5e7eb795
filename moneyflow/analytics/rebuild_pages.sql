-- name: deleted
-- Keep a page of transactions that are deleted: the tables forget them after a month, and an event of one may come late.
with page as (
    select user_id, id, sequence from analytics.transactions
    where generation = (select current from analytics.generations where part = 'money') and amount is null
        and (user_id, id) > (%(after_user)s, %(after)s)
    order by user_id, id limit %(limit)s
), kept as (
    insert into analytics.transactions as fact (generation, user_id, id, sequence)
    select %(generation)s, user_id, id, sequence from page order by user_id, id
    on conflict do nothing
)
select count(*) as rows, (array_agg(user_id order by user_id desc, id desc))[1] as last_user,
    (array_agg(id order by user_id desc, id desc))[1] as last
from page;

-- name: tables
-- Take a page of the transactions as they are now. What changes them after this is in an event that is still to come.
with page as (
    select id, user_id, version, kind, amount, currency, date, category_id, deleted_at is null as is_shown
    from public.transactions where id > %(after)s order by id limit %(limit)s
), incoming as (
    select %(generation)s::integer as generation, user_id, id, version as sequence,
        case when is_shown then kind end as kind, case when is_shown then amount end as amount,
        case when is_shown then currency end as currency, case when is_shown then date end as date,
        case when is_shown then coalesce(category_id, '00000000-0000-0000-0000-000000000000') end as category_id
    from page
), <<written>> <<sums>>
select count(*) as rows, (array_agg(id order by id desc))[1] as last from page;

-- name: log
-- A page of the audit log, in the order of its chains.
select topic, partition, position, value from audit.events
where topic = any(%(topics)s) and (topic, partition, position) > (%(topic)s, %(partition)s, %(position)s)
order by topic, partition, position limit %(limit)s;

-- name: log_is_behind
-- The partitions of which the audit log does not have yet what the sink had read.
select needed.topic, needed.partition
from analytics.rebuilds cross join jsonb_to_recordset(begun_after)
    as needed (topic text, partition integer, "offset" bigint)
left join audit.positions read using (topic, partition)
where id = %(id)s and coalesce(read.next_offset, 0) < needed."offset";

-- name: log_is_cut
-- The chains of the audit log whose first row is missing.
select topic, partition from audit.chains chain
where topic = any(%(topics)s) and height > 0 and not exists (
    select from audit.events first
    where first.topic = chain.topic and first.partition = chain.partition and first.position = 1);
