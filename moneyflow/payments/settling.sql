-- name: abandoned
-- Pending payments whose job was cancelled or discarded a while ago, or purged since.
select payment.id, payment.attempted_at
from payments payment left join jobs job on job.id = payment.job_id
where payment.state = 'pending' and coalesce(provider, %(provider)s) = %(provider)s
  and (job.id is null or job.state in ('cancelled', 'discarded')
       and job.finished_at < clock_timestamp() - make_interval(mins => %(quiet_minutes)s))
order by payment.created_at limit %(limit)s;
