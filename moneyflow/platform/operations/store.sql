-- name: begin
-- Keep who ordered what and why, before anything is frozen.
insert into operations (id, verb, sources, asked_by, reason, filter, rate_per_second, canary)
values (%(id)s, %(verb)s, %(sources)s, %(asked_by)s, %(reason)s, %(filter)s, %(rate_per_second)s, %(canary)s);

-- name: freeze
-- Freeze the items of one source, after those of the sources before it, and count them in the operation.
with frozen as (
    /* frozen */
), kept as (
    insert into operation_items (operation_id, position, source, item_id, guard, content)
    select %(operation_id)s, operations.items + frozen.position, %(item_source)s, item_id, guard, content
    from frozen, operations where operations.id = %(operation_id)s returning 1
)
update operations set items = items + (select count(*) from kept) where id = %(operation_id)s;

-- name: lock
-- Lock the operation, so that two operators who resume it act in turn; with the time from which its next items are due.
select *, greatest(clock_timestamp(), paced_until) as paced_from from operations where id = %(id)s for update;

-- name: open_items
-- A source's items without a result, in the order in which they were frozen.
select position, item_id, guard, content from operation_items
where operation_id = %(id)s and source = %(source)s and position > %(after)s and result is null
order by position limit %(limit)s;

-- name: item_ids
-- The ids of a source's items that have one of some results.
select item_id from operation_items
where operation_id = %(id)s and source = %(source)s and result = any(%(results)s) order by position;

-- name: started_items
-- A source's items whose work was started, in the order in which they were frozen.
select position, item_id, guard, content from operation_items
where operation_id = %(id)s and source = %(source)s and position > %(after)s and result = %(result)s
order by position limit %(limit)s;

-- name: record
-- Keep each item's result, in the transaction that acted on it.
update operation_items item set result = acted.result, detail = acted.detail, done_at = clock_timestamp()
from unnest(%(positions)s::integer[], %(results)s::text[], %(details)s::text[]) as acted (position, result, detail)
where item.operation_id = %(id)s and item.position = acted.position and item.result is null;

-- name: record_ends
-- Keep how the work of items has ended, in place of the result that says that it was started.
update operation_items item set result = ended.result, detail = ended.detail, done_at = clock_timestamp()
from unnest(%(positions)s::integer[], %(results)s::text[], %(details)s::text[]) as ended (position, result, detail)
where item.operation_id = %(id)s and item.position = ended.position and item.result = %(started)s;

-- name: pace
-- Keep until when the operation's items are spread.
update operations set paced_until = %(until)s where id = %(id)s;

-- name: change_state
-- Change the operation's state.
update operations set state = %(state)s, ended_at = case when %(state)s = 'ended' then clock_timestamp() end
where id = %(id)s;

-- name: end_canary
-- Keep that the canary is decided: it has succeeded, or an operator continues without it.
update operations set canary_ended_at = clock_timestamp() where id = %(id)s;

-- name: operation
-- One operation.
select operations.*, (select count(*) from operation_items where operation_id = %(id)s and result is null) as open_items
from operations where id = %(id)s;

-- name: operations
-- The newest operations on some sources, each with the number of its open items.
select operations.*, (select count(*) from operation_items where operation_id = operations.id and result is null)
    as open_items
from operations where sources && %(sources)s::text[] order by created_at desc limit %(limit)s;

-- name: results
-- The number of items by result.
select coalesce(result, 'open') as result, count(*) as items from operation_items where operation_id = %(id)s
group by result order by items desc;

-- name: items
-- Every item with its result.
select position, source, item_id, guard, result, detail, done_at from operation_items where operation_id = %(id)s
order by position;
