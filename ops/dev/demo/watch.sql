-- name: jobs
-- The jobs of this play by kind and state.
select kind, <<shown_state>> as state, count(*) as jobs from jobs where correlation_id like %(prefix)s group by 1, 2;

-- name: mail_jobs
-- The jobs of this play that have sent a mail; its Message-ID begins with the job's id.
select id, kind, payload ->> 'template' as template from jobs
where correlation_id like %(prefix)s and state = 'succeeded' and result ->> 'sent' = 'true';

-- name: bounced
-- The jobs of this play whose mail bounced, with the address and the mail server's reply.
select jobs.kind, users.email, jobs.result ->> 'reason' as reason
from jobs join users on users.id = (jobs.payload ->> 'user_id')::uuid
where jobs.correlation_id like %(prefix)s and jobs.result ->> 'outcome' in ('bounced', 'suppressed');

-- name: failures
-- The failed jobs of this play, with the address of their mail and their error.
select jobs.kind, users.email, attempt.error_class, attempt.error_message, jobs.attempt
from jobs
join job_attempts attempt on attempt.job_id = jobs.id and attempt.outcome = 'failed'
left join users on users.id = (jobs.payload ->> 'user_id')::uuid
where jobs.correlation_id like %(prefix)s and jobs.state = 'failed';

-- name: lost_claims
-- The number of claims of this play that ended with their process.
select count(*) as claims from job_attempts join jobs on jobs.id = job_id
where jobs.correlation_id like %(prefix)s and outcome = 'lost';

-- name: users
-- The people of this play: the number of accounts, and of activated ones.
select count(*) as users, count(activated_at) as activated from users where email like %(tagged)s;

-- name: audited
-- The rows of the audit log of this play by type, and the number of their events.
select type, count(*) as rows, count(distinct id) as events from audit.events
where correlation_id like %(prefix)s group by type;
