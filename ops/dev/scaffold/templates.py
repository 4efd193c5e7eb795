"""The texts of a new job's files; `$…` are filled in by `job.py`."""

from string import Template

CONTRACT = Template('''\
"""`$name`: $does."""

${imports}from moneyflow.platform.jobs.contract import Job
${limit_import}from moneyflow.platform.jobs.policy import RetryPolicy
${schedule_import}$limit

class $contract(
    Job,
    kind="$name",
    priority=5,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
${limit_argument}):
    """$does_begun; a job carries ids, and never personal data."""
$fields$schedule''')

MAIL_CONTRACT = Template('''\
"""`$name`: $does."""

${imports}from moneyflow.mails import Mail, declare
from moneyflow.platform.jobs.contract import Job
${limit_import}from moneyflow.platform.jobs.policy import RetryPolicy

MAIL = declare(Mail("$name"))
$limit

class $contract(
    Job,
    kind="$name",
    priority=MAIL.priority,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
${limit_argument}):
    """$does_begun; a job carries ids, and never personal data."""
$fields''')

SCHEDULE = Template("""

declare(
    Schedule(
        name="$name",
        cron="$cron",
        job=$contract(),
    )
)
""")

HANDLER = Template('''\
"""`$name`: $does."""

from moneyflow.jobs.$name import $contract
from workers.handlers import Context, Result, handles


@handles($contract)
def $name(context: Context, job: $contract) -> Result:
    """Write by `context.session`: it commits together with the end of the job."""
    context.checkpoint()  # The job ends here when it was cancelled.
    return job.model_dump(mode="json")
''')

MAIL_HANDLER = Template('''\
"""`$name`: $does."""

from moneyflow.accounts import mails
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.jobs.$name import MAIL, $contract
from workers.handlers import Context, Result, handles


@handles($contract)
def $name(
    context: Context,
    job: $contract,
    mailer: Mailer,
    accounts: AccountSettings,
) -> Result:
    """Send the mail, unless the account does not exist any more or its address bounced lately."""
    return mails.send(context.session, mailer, accounts, MAIL, user_id=job.user_id, job_id=context.job_id)
''')

MAIL = Template("""\
{% extends "base.jinja" %}
{% block subject %}$subject{% endblock %}
{% block text %}
Hello {{ name }},

$does_begun.

{{ app_url }}
{% endblock %}
{% block html %}
<p>Hello {{ name }},</p>
<p>$does_begun.</p>
<p><a href="{{ app_url }}">Open Money Flow</a></p>
{% endblock %}
""")

TEST = Template('''\
"""`$name`: its effects, run in this process."""

${test_imports}from moneyflow.jobs.$name import $contract
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from workers.testing import run_jobs


def test_${name}_succeeds_and_returns_its_payload(database: Database) -> None:
    job = $call

    with database.transaction() as session:
        enqueue(session, job)
        (ran,) = run_jobs(session)

    assert ran.outcome == "succeeded", ran.error
    assert ran.result == job.model_dump(mode="json")
''')

MAIL_TEST = Template('''\
"""`$name`: its mail, and who gets none."""

${test_imports}from moneyflow.jobs.$name import $contract
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support import people
from workers.testing import new_mailbox, run_jobs


def test_${name}_mails_a_user_whose_account_exists(database: Database) -> None:
    mailbox = new_mailbox()
    person = people.sign_up(database, name="Zoë Ångström")

    with database.transaction() as session:
        for user_id in (person.user_id, uuid4()):
            job = $call
            enqueue(session, job)
        sent, not_sent = run_jobs(session, kinds=["$name"], gateways=[mailbox])

    assert sent.result == {"sent": True}
    assert not_sent.result == {"sent": False, "reason": "the account does not exist any more"}
    (mail,) = mailbox.sent
    assert mail.to.address == person.email
    assert "Hello Zoë Ångström," in mail.text
''')
