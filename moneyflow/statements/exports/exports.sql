-- name: insert
-- Insert an export.
insert into exports (id, user_id, format, first_day, last_day, job_id, expires_at)
values (%(id)s, %(owner_id)s, %(format)s, %(first_day)s, %(last_day)s, %(job_id)s, clock_timestamp() + %(kept)s);

-- name: some_entries
-- A row for each transaction of a period, as many as the limit at most.
select from (
    (select from transactions where user_id = %(owner_id)s and kind = 'expense' and deleted_at is null
        and date between %(first_day)s and %(last_day)s limit %(limit)s)
    union all
    (select from transactions where user_id = %(owner_id)s and kind = 'income' and deleted_at is null
        and date between %(first_day)s and %(last_day)s limit %(limit)s)
) entry limit %(limit)s;

-- name: export
-- An export of the owner, until it expires. Without a file its job says how it is; a job that was purged has failed.
select export.id, user_id, format, first_day, last_day, job_id, file_id, created_at, expires_at,
    case when file_id is not null then 'ready'
        when <<unfinished>> then 'pending' else 'failed' end as state
from exports export left join jobs on jobs.id = job_id
where export.id = %(id)s and user_id = %(owner_id)s and expires_at > clock_timestamp();
