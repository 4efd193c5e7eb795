-- name: look
-- Whether requests may be made now, else after how many seconds.
select failures, failing_since, reason,
    extract(epoch from greatest(open_from - clock_timestamp(), interval '0'))::float as seconds
from crm.gate;

-- name: probe
-- Take the probe: no other sender makes a request until it is decided, or its lease is over.
update crm.gate set open_from = clock_timestamp() + %(lease)s
where failures > 0 and open_from <= clock_timestamp()
returning failures;

-- name: reserve
-- Reserve the next request of all senders, and return after how many seconds it may be made.
update crm.gate set next_request_at = greatest(next_request_at, clock_timestamp()) + %(gap)s
returning extract(epoch from next_request_at - %(gap)s - clock_timestamp())::float as seconds;

-- name: fail
-- Close the gate after a failure: for as long as the CRM asks, or twice as long as after the one before, with jitter.
update crm.gate set
    failures = failures + 1,
    failing_since = coalesce(failing_since, clock_timestamp()),
    reason = %(reason)s,
    open_from = clock_timestamp() + greatest(
        make_interval(secs => %(retry_after)s),
        make_interval(secs => least(%(first)s * 2 ^ least(failures, 20), %(longest)s) * (0.75 + random() / 4)))
returning failures, extract(epoch from open_from - clock_timestamp())::float as seconds;

-- name: open
-- Open the gate after a success.
update crm.gate as gate set failures = 0, failing_since = null, reason = null, open_from = clock_timestamp()
from (select failures, failing_since from crm.gate for update) as before
where gate.failures > 0
returning before.failures, before.failing_since;
