-- name: give_places
-- Give every due job under a limit its place: jobs run one by one here.
update jobs set waits_for = null
where <<waiting_for_limit>>
  and due_at <= greatest(%(until)s::timestamptz, clock_timestamp());

-- name: next_due
-- The next due job of those that have not run in this call.
select id from jobs
where <<waiting>> and waits_for is null and not quarantined
  and due_at <= greatest(%(until)s::timestamptz, clock_timestamp())
  and (%(kinds)s::text[] is null or kind = any(%(kinds)s)) and id <> all(%(ran)s)
order by priority desc, due_at, id limit 1;

-- name: make_due
-- Make a job due now that is due later.
update jobs set due_at = least(due_at, clock_timestamp()) where id = %(id)s;

-- name: result
-- The result of a job.
select result from jobs where id = %(id)s;
