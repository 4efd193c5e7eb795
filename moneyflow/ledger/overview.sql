-- name: find
-- Jobs of a state and a kind, or of any, the newest first.
select id, kind, state, priority, attempt, max_attempts, enqueued_at, due_at, started_at, finished_at, held, batch_id,
    parked_reason, error_class, error_message
from jobs
where (%(state)s::text is null or state = %(state)s) and (%(kind)s::text is null or kind = %(kind)s)
order by id desc limit %(limit)s;

-- name: standing
-- What waits, runs or has failed, by kind, priority and state; for how long the oldest should have been running.
select kind, priority, state, count(*) as jobs, count(*) filter (where held) as held,
    extract(epoch from clock_timestamp() - min(due_at) filter (
        where state <> 'failed' and state <> 'running' and not held and due_at <= clock_timestamp()
    ))::float as oldest_due_seconds
from jobs where state in ('scheduled', 'queued', 'running', 'retrying', 'failed')
group by kind, priority, state order by kind, priority desc, state;
