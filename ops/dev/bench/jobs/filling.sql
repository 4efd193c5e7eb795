-- name: finished
-- Jobs that succeeded, evenly over the last eight days; their ids grow with the time of their enqueue, as real ones do.
with numbers as (
    select number, clock_timestamp() - interval '8 days' * (1 - number / %(rows)s::float) as moment
    from generate_series(%(first)s::bigint, %(last)s::bigint) as number
), new as (
    insert into jobs (id, kind, version, priority, payload, state, due_at, attempt, max_attempts, time_limit_seconds,
                      fence, result, correlation_id, enqueued_at, published_at, started_at, finished_at)
    select (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || '7'
            || overlay(md5('finished' || number) placing '8' from 4 for 14))::uuid,
        'send_email', 1, 5, jsonb_build_object('template', 'activation', 'user_id', md5(number::text)::uuid),
        'succeeded', moment, 1, 10, 120, 1, '{"sent": true}', 'bench-' || number, moment, moment,
        moment + interval '1 second', moment + interval '2 seconds'
    from numbers returning id, started_at, finished_at
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, ended_at, outcome)
select id, 1, 1, 'worker-1', started_at, finished_at, 'succeeded' from new;

-- name: scheduled
-- Jobs of all priorities that are due within the next thirty days, the first of them in an hour.
insert into jobs (id, kind, version, priority, payload, state, due_at, attempt, max_attempts, time_limit_seconds,
                  correlation_id, enqueued_at)
select (lpad(to_hex((extract(epoch from clock_timestamp() - interval '1 hour') * 1000)::bigint), 12, '0') || '7'
        || overlay(md5('scheduled' || number) placing '8' from 4 for 14))::uuid,
    'send_email', 1, number %% 11, jsonb_build_object('template', 'welcome', 'user_id', md5(number::text)::uuid),
    'scheduled', clock_timestamp() + interval '1 hour' + interval '30 days' * (number / %(rows)s::float), 0, 10, 120,
    'bench-' || number, clock_timestamp() - interval '1 hour'
from generate_series(%(first)s::bigint, %(last)s::bigint) as number;

-- name: failed
-- Jobs that failed during the last day, in two hundred groups, each with its last attempt; their dead letters are
-- published already.
with new as (
    insert into jobs (id, kind, version, priority, payload, state, due_at, attempt, max_attempts, time_limit_seconds,
                      fence, error_class, error_message, error_group, correlation_id, enqueued_at, finished_at)
    select (lpad(to_hex((extract(epoch from clock_timestamp() - interval '1 day') * 1000)::bigint), 12, '0') || '7'
            || overlay(md5('failed' || number) placing '8' from 4 for 14))::uuid,
        'send_email', 1, 5, jsonb_build_object('template', 'activation', 'user_id', md5(number::text)::uuid), 'failed',
        clock_timestamp(), 10, 10, 120, 10, 'UnavailableError',
        'the server mx' || number %% 200 || ' says 451 for message ' || number,
        'the server mx' || number %% 200 || ' says <n> for message <n>', 'bench-' || number,
        clock_timestamp() - interval '1 day', clock_timestamp() - interval '1 day' * (number / %(rows)s::float)
    from generate_series(%(first)s::bigint, %(last)s::bigint) as number returning id, finished_at, error_class, error_message
)
insert into job_attempts (job_id, fence, attempt, worker, started_at, ended_at, outcome, error_class, error_message,
                          error_traceback)
select id, 10, 10, 'worker-1', finished_at, finished_at, 'failed', error_class, error_message,
    repeat('  File "x.py"', 150)
from new;
