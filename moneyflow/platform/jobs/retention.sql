-- name: now
-- The moment that decides: Postgres's clock.
select clock_timestamp() as now;

-- name: jobs
-- Look at the next jobs in the order of their ids, which is that of their enqueuing, and delete the expired ones: ended
-- long enough ago, in no open batch, and holding no unique key that is still taken. Their attempts and files go with
-- them. Locked rows are left to the next run.
with page as (
    select id from jobs where id > %(after)s and id < %(before)s order by id limit %(limit)s
), expired as (
    select jobs.id from jobs join page using (id)
    where (state in ('succeeded', 'cancelled') and finished_at < %(ended_before)s
           or state = 'discarded' and finished_at < %(discarded_before)s and not exists (
               select from operation_items item
               where item.source = 'jobs' and item.item_id = jobs.id::text and item.result = 'discarded'
                 and item.done_at >= %(discarded_before)s))
      and (unique_key is null or unique_while_unfinished or unique_until < clock_timestamp())
      and not exists (select from batches where batches.id = jobs.batch_id and batches.state = 'open')
    order by jobs.id for update of jobs skip locked
), deleted as (
    delete from jobs using expired where jobs.id = expired.id returning jobs.id
)
select (select count(*) from page) as seen, (select id from page order by id desc limit 1) as last_id,
    (select count(*) from deleted) as deleted;

-- name: batches
-- Delete batches that ended long enough ago and have no job any more.
delete from batches where id in (
    select id from batches
    where state <> 'open' and ended_at < clock_timestamp() - %(kept)s
      and not exists (select from jobs where jobs.batch_id = batches.id)
    limit %(limit)s for update skip locked);

-- name: schedules
-- Delete schedules that no code has declared for as long as jobs are kept.
delete from schedules where name in (
    select name from schedules where removed_at < clock_timestamp() - %(kept)s limit %(limit)s for update skip locked);
