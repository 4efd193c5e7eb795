-- name: now
-- The moment that decides: Postgres's clock.
select clock_timestamp() as now;

-- name: jobs
-- Look at the next jobs in the order of their ids, which is that of their enqueuing, and delete those that are over:
-- ended long enough ago, in no open batch, and holding no unique key that is still taken. Their tries go with them. What
-- somebody has locked is left to the next run.
with page as (
    select id from jobs where id > %(after)s and id < %(before)s order by id limit %(limit)s
), old as (
    select jobs.id from jobs join page using (id)
    where (state in ('succeeded', 'cancelled') and finished_at < %(ended_before)s
           or state = 'discarded' and finished_at < %(discarded_before)s and not exists (
               select from operation_items item
               where item.job_id = jobs.id and item.result = 'discarded' and item.done_at >= %(discarded_before)s))
      and (unique_key is null or unique_while_unfinished or unique_until < clock_timestamp())
      and not exists (select from batches where batches.id = jobs.batch_id and batches.state = 'open')
    order by jobs.id for update of jobs skip locked
), gone as (
    delete from jobs using old where jobs.id = old.id returning jobs.id
)
select (select count(*) from page) as seen, (select id from page order by id desc limit 1) as last_id,
    (select count(*) from gone) as deleted;

-- name: batches
-- Batches that have ended and have no job any more.
delete from batches where id in (
    select id from batches
    where state <> 'open' and ended_at < %(ended_before)s
      and not exists (select from jobs where jobs.batch_id = batches.id)
    limit %(limit)s for update skip locked);

-- name: user_tokens
-- Tokens that work no more, used or not: until then a used one is told from one that never was.
delete from user_tokens where token_hash in (
    select token_hash from user_tokens where expires_at < clock_timestamp() limit %(limit)s for update skip locked);

-- name: idempotency_keys
-- Answers that nobody repeats the request of any more.
delete from idempotency_keys where (scope, key) in (
    select scope, key from idempotency_keys where created_at < clock_timestamp() - %(answers)s
    limit %(limit)s for update skip locked);

-- name: job_starts
-- Starts that no rate looks back to.
delete from job_starts where ctid = any(array(
    select ctid from job_starts where started_at < clock_timestamp() - %(starts)s
    limit %(limit)s for update skip locked));

-- name: schedules
-- Schedules that no code has declared for as long as jobs are kept.
delete from schedules where name in (
    select name from schedules where removed_at < %(ended_before)s limit %(limit)s for update skip locked);
