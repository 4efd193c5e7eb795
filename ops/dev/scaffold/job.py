"""The files of a new job: contract, handler, test and, with a mail, its template; they pass every check as written."""

import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

from moneyflow.platform.errors import ConflictError, InvalidInputError

_NAME = re.compile(r"(?=.{2})[a-z][a-z0-9]*(_[a-z0-9]+)*")
#: Characters; a line of a file may hold the name or the words twice, and 120 characters at most.
_LONGEST_NAME, _LONGEST_WORDS = 40, 60
#: Names that the written files use themselves, as they are or as a class's name.
_USED = frozenset(
    {"job", "retry_policy", "context", "result", "handles", "mail", "mails", "mailer", "accounts", "account_settings",
     "declare", "database", "enqueue", "people", "person", "mailbox", "new_mailbox", "ran", "run_jobs", "uuid4"}
)  # fmt: skip

_CONTRACT = Template('''\
"""`$name`: $does."""

from uuid import UUID

from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy


class $contract(
    Job,
    kind="$name",
    priority=5,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
):
    """$does_begun; a job carries ids, and never personal data."""

    user_id: UUID
''')

_MAIL_CONTRACT = Template('''\
"""`$name`: $does."""

from uuid import UUID

from moneyflow.mails import Mail, declare
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy

MAIL = declare(Mail("$name"))


class $contract(
    Job,
    kind="$name",
    priority=MAIL.priority,
    retry=RetryPolicy(attempts=10, base_seconds=2, cap_seconds=1800),
    time_limit_seconds=120,
):
    """$does_begun; a job carries ids, and never personal data."""

    user_id: UUID
''')

_HANDLER = Template('''\
"""`$name`: $does."""

from moneyflow.jobs.$name import $contract
from workers.handlers import Context, Result, handles


@handles($contract)
def $name(context: Context, job: $contract) -> Result:
    """Write by `context.session`: it commits together with the end of the job."""
    context.checkpoint()  # The job ends here when it was cancelled.
    return {"user_id": str(job.user_id)}
''')

_MAIL_HANDLER = Template('''\
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

_MAIL = Template("""\
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

_TEST = Template('''\
"""`$name`: its effects, run in this process."""

from uuid import uuid4

from moneyflow.jobs.$name import $contract
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from workers.testing import run_jobs


def test_${name}_succeeds_and_returns_its_user(database: Database) -> None:
    job = $contract(user_id=uuid4())

    with database.transaction() as session:
        enqueue(session, job)
        (ran,) = run_jobs(session)

    assert ran.outcome == "succeeded", ran.error
    assert ran.result == {"user_id": str(job.user_id)}
''')

_MAIL_TEST = Template('''\
"""`$name`: its mail, and who gets none."""

from uuid import uuid4

from moneyflow.jobs.$name import $contract
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support import people
from workers.testing import new_mailbox, run_jobs


def test_${name}_mails_a_user_whose_account_exists(database: Database) -> None:
    mailbox = new_mailbox()
    person = people.sign_up(database, name="Zoë Ångström")

    with database.transaction() as session:
        for user_id in (person.user_id, uuid4()):
            enqueue(session, $contract(user_id=user_id))
        sent, not_sent = run_jobs(session, kinds=["$name"], gateways=[mailbox])

    assert sent.result == {"sent": True}
    assert not_sent.result == {"sent": False, "reason": "the account does not exist any more"}
    (mail,) = mailbox.sent
    assert mail.to.address == person.email
    assert "Hello Zoë Ångström," in mail.text
''')


def files_of(name: str, *, does: str | None, mail: bool) -> Mapping[str, str]:
    """Return the new job's files by their paths in the checkout.

    Raises:
        InvalidInputError: the name or the description is not valid.
    """
    _check_name(name)
    does = _sentence(does or name.replace("_", " "))
    begun = does[0].upper() + does[1:]
    words = {
        "name": name,
        "contract": "".join(part.capitalize() for part in name.split("_")),
        "does": does,
        "does_begun": begun,
        "subject": begun,
    }
    texts = {
        f"moneyflow/jobs/{name}.py": _MAIL_CONTRACT if mail else _CONTRACT,
        f"workers/jobs/{name}.py": _MAIL_HANDLER if mail else _HANDLER,
        f"tests/integration/test_{name}.py": _MAIL_TEST if mail else _TEST,
    }
    if mail:
        texts[f"mail_templates/{name}.jinja"] = _MAIL
    return {path: text.substitute(words) for path, text in texts.items()}


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write all the files, or none.

    Raises:
        ConflictError: one of them exists, or cannot be written.
    """
    taken = [path for path in files if (root / path).exists()]
    if taken:
        raise ConflictError(f"nothing was written: {', '.join(taken)} exists already; choose another name")
    written: list[Path] = []
    try:
        for path, text in files.items():
            with (root / path).open("x", encoding="utf-8") as opened:
                written.append(root / path)
                opened.write(text)
    except OSError as error:
        for file in written:
            file.unlink()
        raise ConflictError(f"nothing was written: {error.filename} cannot be written: {error.strerror}") from error


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise InvalidInputError(
            f"NAME: {name!r} is not of the form send_email: words in lower case, joined by '_', 2 to {_LONGEST_NAME} "
            "characters in all"
        )
    if name in _USED or keyword.iskeyword(name):
        raise InvalidInputError(f"NAME: {name!r} has another meaning in the files of a job; choose another name")


def _sentence(does: str) -> str:
    """Return the description as the one line that the files hold."""
    does = does.strip().rstrip(".")
    if not does or len(does) > _LONGEST_WORDS or not does.isprintable() or set(does) & set('"\\{}<>'):
        raise InvalidInputError(
            f"--does: give one line of 1 to {_LONGEST_WORDS} characters, without quotes, braces, angle brackets and "
            "backslashes"
        )
    return does
