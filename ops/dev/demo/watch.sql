-- name: jobs
-- The jobs of this play by kind and state.
select kind, <<shown_state>> as state, count(*) as jobs from jobs where correlation_id like %(prefix)s group by 1, 2;

-- name: mail_jobs
-- Which jobs of this play have sent a mail: its Message-ID begins with the job's id.
select id, kind, payload ->> 'template' as template from jobs where correlation_id like %(prefix)s and state = 'succeeded';

-- name: failures
-- The failed jobs of this play, to whom their mail should have gone, and why it did not.
select jobs.kind, users.email, try.error_class, try.error_message, jobs.attempt
from jobs
join job_attempts try on try.job_id = jobs.id and try.outcome = 'failed'
left join users on users.id = (jobs.payload ->> 'user_id')::uuid
where jobs.correlation_id like %(prefix)s and jobs.state = 'failed';

-- name: lost_tries
-- How many claims of this play ended with their process.
select count(*) as tries from job_attempts join jobs on jobs.id = job_id
where jobs.correlation_id like %(prefix)s and outcome = 'lost';

-- name: users
-- The people of this play: how many accounts, and how many of them in use.
select count(*) as users, count(activated_at) as activated from users where email like %(tagged)s;

-- name: audited
-- The rows of the audit log that came of this play, by type, and how many events those are.
select type, count(*) as rows, count(distinct id) as events from audit.events
where correlation_id like %(prefix)s group by type;
