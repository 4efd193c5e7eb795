-- name: begin
-- Note that a pending payment is attempted, by whom, and since when: the key of an old attempt may have expired.
update payments set attempted_at = coalesce(attempted_at, clock_timestamp()), provider = coalesce(provider, %(provider)s)
where id = %(id)s and state = 'pending'
returning job_id, amount, currency, source, provider, attempted_at,
    attempted_at < clock_timestamp() - make_interval(hours => %(key_hours)s) as is_old;
