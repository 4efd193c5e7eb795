-- fragment: unfinished
-- A job that has not ended.
state in ('scheduled', 'queued', 'running')

-- fragment: waiting
-- A job that no worker holds.
state in ('scheduled', 'queued')

-- fragment: publishable
-- A job that waits for nothing but its due time.
state = 'scheduled' and waits_for is null

-- fragment: kinds_that_wait
-- The recursive query `kinds` of all kinds with a publishable job. PERF: one index lookup for each, however many jobs it has.
kinds (kind) as (
    (select kind from jobs where <<publishable>> order by kind limit 1)
    union all
    select (select jobs.kind from jobs where <<publishable>> and jobs.kind > kinds.kind
            order by jobs.kind limit 1)
    from kinds where kinds.kind is not null
)

-- fragment: waiting_for_limit
-- A job that waits for a place under its limit.
state = 'scheduled' and waits_for = 'limit'

-- fragment: paused_kinds
-- The kinds that an operator or a breaker has paused.
(select kind from job_kinds where paused_at is not null)

-- fragment: probes
-- The jobs that probe a paused kind.
(select probe_job_id from job_kinds where probe_job_id is not null)

-- fragment: not_paused
-- A job whose kind is not paused, or that probes it.
(kind not in <<paused_kinds>> or id in <<probes>>)

-- fragment: fresh
-- A due job of a kind in `due` without an attempt that ended since the kind was paused.
(due_at <= clock_timestamp() and not exists (
    select from job_attempts ended where ended.job_id = jobs.id and ended.ended_at >= due.paused_at))

-- fragment: lost
-- A running job whose lease expired or whose worker is dead.
(lease_until < clock_timestamp() or worker not in (select number from live_workers))

-- fragment: ended
-- What a job's end sets, however it ends; a key that is taken while a job is unfinished is free from here on.
worker = null, lease_until = null, quarantined = false, finished_at = clock_timestamp(),
unique_key = case when unique_while_unfinished then null else unique_key end

-- fragment: again
-- What puts a job back to wait; one that was asked to cancel ends here instead.
state = case when cancel_requested_at is null then 'scheduled' else 'cancelled' end, worker = null, lease_until = null,
finished_at = case when cancel_requested_at is null then null else clock_timestamp() end,
unique_key = case when unique_while_unfinished and cancel_requested_at is not null then null else unique_key end

-- fragment: replayed
-- What starts a failed job from the beginning; its old attempts stay in the history and count no more.
state = 'scheduled', attempt = 0, quarantined = false, fence = jobs.fence + 1, finished_at = null,
cancel_requested_at = null, parked_reason = null, progress = null, waits_for = <<limit_or_nothing>>

-- fragment: free_places
-- Places of a row of `limits` that no job has; null for a limit of keys alone. For a rate, an admitted job that has not
-- started counts as a start.
least(
    concurrency - (select count(*) from jobs where limit_name = limits.name and waits_for is null and <<unfinished>>),
    rate_limit - (select count(*) from jobs where limit_name = limits.name and waits_for is null and <<waiting>>)
        - (select count(*) from job_starts where limit_name = limits.name
           and started_at > clock_timestamp() - make_interval(secs => rate_seconds))
)

-- fragment: limit_or_nothing
-- What a job waits for before it can be published: a place under its limit, if it has one.
case when limit_name is not null then 'limit' end

-- fragment: shown_due_at
-- When the job is due; an end job is due once its batch has ended, and so at no time yet.
case when state = 'scheduled' and waits_for = 'batch' then null else due_at end

-- fragment: shown_state
-- The state as it is shown.
case when state = 'scheduled' then <<scheduled_or_retrying>> else state end

-- fragment: scheduled_or_retrying
-- The shown state of a scheduled job: one that waits for its next attempt is retrying. It reads no column that the index
-- of due jobs lacks, so that counts need no table.
case when attempt > 0 then 'retrying' else 'scheduled' end

-- fragment: done_for_strangers
-- Whether a stranger sees the job as done: a worker has taken it, and what follows is not shown. SECURITY: a mail to an
-- address that has no account ends at once, another one when its mail server has answered, so the end must not show. Nor
-- does the start: the job is done from the next full five seconds after its acceptance on.
coalesce(extract(epoch from clock_timestamp()) - extract(epoch from enqueued_at) >= 5 * greatest(1, ceil((
    extract(epoch from least(
        finished_at, started_at, (select min(started_at) from job_attempts where job_id = jobs.id)
    )) - extract(epoch from enqueued_at)) / 5)), false)
