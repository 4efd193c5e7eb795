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

-- name: importing_worker
-- The worker that reads an import of this play which has written some of its rows, and not all.
select workers.name from imports join users on users.id = imports.user_id
join jobs on jobs.id = imports.job_id join workers on workers.number = jobs.worker
where users.email like %(tagged)s and rows_read > 0 and imports.outcome is null and jobs.state = 'running'
limit 1;

-- name: interrupted_imports
-- The attempts of imports of this play that ended with their worker.
select count(*) as attempts from job_attempts join jobs on jobs.id = job_id
where jobs.correlation_id like %(prefix)s and jobs.kind = 'import_statement' and outcome = 'lost';

-- name: users
-- The people of this play: the number of accounts, and of activated ones.
select count(*) as users, count(activated_at) as activated from users where email like %(tagged)s;

-- name: payments
-- The payments of this play by state, and those that the provider charged otherwise than is recorded.
select payments.state, count(*) as payments, count(*) filter (
    where (charge.charge_id, charge.amount, charge.currency, charge.decline_code) is distinct from
        (payments.charge_id, payments.amount, payments.currency, payments.decline_code)) as differing
from payments join users on users.id = payments.user_id
left join sandbox.charges charge on charge.key = payments.job_id
where users.email like %(tagged)s group by payments.state;

-- name: charges
-- What the provider's ledger has for the people of this play: the charges, their sums, and those asked for again.
select charge.currency, count(*) as charges, sum(charge.amount) as amount, count(*) filter (where requests > 1) as again
from sandbox.charges charge join payments on payments.id = charge.payment_id
join users on users.id = payments.user_id
where charge.charge_id is not null and users.email like %(tagged)s group by charge.currency;

-- name: books
-- The sums of the transactions of this play.
select transactions.kind, transactions.currency, sum(amount) as amount
from transactions join users on users.id = transactions.user_id
where users.email like %(tagged)s and deleted_at is null group by transactions.kind, transactions.currency;

-- name: audited
-- The rows of the audit log of this play by type, and the number of their events.
select type, count(*) as rows, count(distinct id) as events from audit.events
where correlation_id like %(prefix)s group by type;

-- name: analytics
-- The sums that analytics has of the people of this play.
select sums.currency, sum(income) as income, sum(expense) as expense
from analytics.daily_sums sums join users on users.id = sums.user_id
where users.email like %(tagged)s
  and generation = (select current from analytics.generations where part = 'money')
group by sums.currency;

-- name: people
-- The people of this play, as the CRM should have them.
select email, name from users where email like %(tagged)s;
