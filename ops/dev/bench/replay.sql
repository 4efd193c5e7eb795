-- name: fail
-- Insert failed jobs, in two hundred groups, each with its attempt, its traceback and its dead letter.
with new as (
    insert into jobs (id, kind, version, priority, payload, state, due_at, attempt, max_attempts, time_limit_seconds,
                      fence, error_class, error_message, error_group, enqueued_at, finished_at)
    select gen_random_uuid(), 'send_email', 1, 5,
        jsonb_build_object('template', 'activation', 'user_id', gen_random_uuid()), 'failed', clock_timestamp(), 10, 10,
        120, 10, 'UnavailableError', 'the server mx' || number %% 200 || ' says 451 for message ' || number,
        'the server mx' || number %% 200 || ' says <n> for message <n>', clock_timestamp() - interval '1 hour',
        clock_timestamp() - make_interval(secs => number / 1000.0)
    from generate_series(1, %(jobs)s) as number returning id, fence, finished_at, error_class, error_message
), kept as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class, error_message,
                              error_traceback)
    select id, fence, 10, 'worker-1', finished_at, 'failed', error_class, error_message, repeat('  File "x.py"', 150)
    from new
)
insert into job_dead_letters (job_id, fence) select id, fence from new order by finished_at;
