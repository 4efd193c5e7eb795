-- name: lock_owner
-- The owner of a new import; the account cannot be deleted until the transaction ends.
select id from users where id = %(owner_id)s and %(id)s::uuid is not null for key share;

-- name: insert
-- Insert an import.
insert into imports (id, user_id, job_id, file_id, name, size, plan)
values (%(id)s, %(owner_id)s, %(job_id)s, %(file_id)s, %(name)s, %(size)s, %(plan)s);

-- name: import
-- An import of the owner. Until it has an outcome, its state is that of its job; a job that was purged was cancelled.
select imports.id, imports.job_id, name, plan->>'format' as format, imports.error, rows_read, rows_added,
    rows_duplicate, rows_refused, imports.created_at, imports.finished_at,
    case
        when outcome is not null then outcome
        when job.id is null or job.state in ('cancelled', 'discarded') then 'cancelled'
        when job.state = 'failed' then 'failed'
        when job.state = 'running' or rows_read > 0 then 'running'
        else 'pending'
    end as state
from imports left join jobs job on job.id = imports.job_id
where imports.id = %(id)s and user_id = %(owner_id)s;

-- name: refusals
-- The first refused rows of an import of the owner.
select line, reason from import_refusals
where import_id = (select id from imports where id = %(id)s and user_id = %(owner_id)s)
order by row limit %(limit)s;
