-- name: give_places
-- Let what waits for a place under a limit have one: jobs run one by one here.
update jobs set waits_for = null
where <<waiting_for_limit>>
  and due_at <= greatest(%(until)s::timestamptz, clock_timestamp());

-- name: next_due
-- The job that comes next, of those that were not tried yet.
select id from jobs
where <<waiting>> and waits_for is null and not quarantined
  and due_at <= greatest(%(until)s::timestamptz, clock_timestamp())
  and (%(kinds)s::text[] is null or kind = any(%(kinds)s)) and id <> all(%(tried)s)
order by priority desc, due_at, id limit 1;

-- name: make_due
-- Let a job be due now that is due before long.
update jobs set due_at = least(due_at, clock_timestamp()) where id = %(id)s;

-- name: result
-- What a job has told.
select result from jobs where id = %(id)s;
