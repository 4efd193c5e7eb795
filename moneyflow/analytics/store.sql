-- name: share
-- Write next to other batches, until the transaction ends. A statement after it sees what those before have committed.
-- PERF: the statements of a batch go by keys, whatever the statistics of tables that grow say.
select pg_advisory_xact_lock_shared(%(lock)s), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true);

-- name: exclude
-- Write alone, once the batches that run have ended, until the transaction ends; it may take longer than others.
select pg_advisory_xact_lock(%(lock)s), set_config('statement_timeout', '0', true),
    set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true);

-- name: targets
-- The generations to write, and those of these people who are erased.
select array(select unnest(array_remove(array[current, filling], null)) from analytics.generations
             where part = 'money' order by 1) as money,
    array(select unnest(array_remove(array[current, filling], null)) from analytics.generations
          where part = 'people' order by 1) as people,
    array(select encode(uuid_send(token), 'hex') from analytics.erased_users where token = any(%(tokens)s::uuid[])) as erased;

-- name: transactions
-- Keep the states of transactions and change the sums by the difference. Return the ids that were written in the first
-- of the generations, each with the sequence that was known before.
with incoming as (
    select generation, given.* from unnest(%(users)s::uuid[], %(ids)s::uuid[], %(sequences)s::bigint[],
        %(kinds)s::text[], %(amounts)s::numeric[], %(currencies)s::text[], %(dates)s::date[], %(categories)s::uuid[])
        as given (user_id, id, sequence, kind, amount, currency, date, category_id)
    cross join unnest(%(generations)s::integer[]) as target (generation)
), <<written>> <<sums>>
select (select string_agg(encode(uuid_send(id), 'hex'), ' ') from written where generation = %(first)s) as written,
    (select string_agg(encode(uuid_send(id), 'hex') || ' ' || sequence, ' ') from known
     where generation = %(first)s) as known;

-- name: erase
-- Delete all about the money of people, and note that they are erased.
with noted as (
    insert into analytics.erased_users (token) select unnest(%(tokens)s::uuid[]) on conflict do nothing
), facts as (
    delete from analytics.transactions where generation = any(%(generations)s::integer[])
        and user_id = any(%(users)s::uuid[])
), days as (
    delete from analytics.daily_sums where generation = any(%(generations)s::integer[])
        and user_id = any(%(users)s::uuid[])
)
delete from analytics.monthly_sums where generation = any(%(generations)s::integer[])
    and user_id = any(%(users)s::uuid[]);

-- name: people
-- Mark the days of people; the earliest of each mark stays.
insert into analytics.people as person (generation, token, signed_up, activated, first_transaction)
select generation, given.* from unnest(%(tokens)s::uuid[], %(signed_up)s::date[], %(activated)s::date[],
    %(first_transaction)s::date[]) as given (token, signed_up, activated, first_transaction)
cross join unnest(%(generations)s::integer[]) as target (generation)
order by 1, 2
on conflict (generation, token) do update
    set signed_up = least(person.signed_up, excluded.signed_up),
        activated = least(person.activated, excluded.activated),
        first_transaction = least(person.first_transaction, excluded.first_transaction)
    where least(person.signed_up, excluded.signed_up) is distinct from person.signed_up
        or least(person.activated, excluded.activated) is distinct from person.activated
        or least(person.first_transaction, excluded.first_transaction) is distinct from person.first_transaction;

-- name: count
-- Count what was not counted yet, of one name. The counts come last: batches of all partitions change the same rows.
with fresh as (
    insert into analytics.counted (generation, day, token)
    select generation, day, token from unnest(%(days)s::date[], %(tokens)s::uuid[]) as given (day, token)
        cross join unnest(%(generations)s::integer[]) as target (generation)
    order by generation, day, token
    on conflict do nothing
    returning generation, day
)
insert into analytics.day_counts as counts (generation, day, what, count)
select generation, day, %(what)s, count(*) from fresh group by 1, 2 order by 1, 2
on conflict (generation, day, what) do update set count = counts.count + excluded.count;
