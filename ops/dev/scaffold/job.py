"""The files of a new job: contract, handler, test, and template when it mails; whole, and passing as they are."""

import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

from moneyflow.platform.errors import ConflictError, InvalidInputError

_NAME = re.compile(r"(?=.{2})[a-z][a-z0-9]*(_[a-z0-9]+)*")
#: So that no line which holds the name or the words twice is too long.
_LONGEST_NAME, _LONGEST_WORDS = 40, 60
#: What the written files call by these names, or by a class's name that comes of them.
_USED = frozenset(
    {"job", "retry_policy", "context", "result", "handles", "tools", "letter", "mails", "database", "enqueue", "people",
     "person", "mailbox", "ran", "run_jobs", "fake_tools", "uuid4"}
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

_HANDLER = Template('''\
"""`$name`: $does."""

from moneyflow.jobs.$name import $contract
from workers.handlers import Context, Result, handles


@handles($contract)
def $name(context: Context, job: $contract) -> Result:
    """Do it: what is written by `context.session` commits together with the end of the job."""
    context.checkpoint()  # Ends here when somebody asked to cancel the job.
    return {"user_id": str(job.user_id)}
''')

_MAIL_HANDLER = Template('''\
"""`$name`: $does."""

from moneyflow.jobs.$name import $contract
from moneyflow.accounts import mails
from workers.handlers import Context, Result, handles


@handles($contract)
def $name(context: Context, job: $contract) -> Result:
    """Send the letter, unless the account is gone."""
    tools = context.tools
    letter = mails.compose(
        context.session,
        tools.settings,
        "$name",
        user_id=job.user_id,
        job_id=context.job_id,
    )
    if letter is None:
        return {"sent": False, "reason": "the account is gone"}
    context.session.commit()  # No transaction is open while the mail server is asked.
    tools.mailer.send(
        "$name",
        to=letter.to,
        values=letter.values,
        job_id=context.job_id,
    )
    return {"sent": True}
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
"""`$name`: what comes of it, run in this process."""

from uuid import uuid4

from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.database import Database
from moneyflow.jobs.$name import $contract
from workers.testing import run_jobs


def test_${name}_succeeds_and_tells_for_whom(database: Database) -> None:
    job = $contract(user_id=uuid4())

    with database.transaction() as session:
        enqueue(session, job)
        (ran,) = run_jobs(session)

    assert ran.outcome == "succeeded", ran.error
    assert ran.result == {"user_id": str(job.user_id)}
''')

_MAIL_TEST = Template('''\
"""`$name`: the letter, and who gets none."""

from uuid import uuid4

from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.database import Database
from moneyflow.jobs.$name import $contract
from tests.support import people
from workers.testing import Mailbox, fake_tools, run_jobs


def test_${name}_sends_a_letter_to_whoever_has_an_account(database: Database) -> None:
    mailbox = Mailbox()
    person = people.sign_up(database, name="Zoë Ångström")

    with database.transaction() as session:
        for user_id in (person.user_id, uuid4()):
            enqueue(session, $contract(user_id=user_id))
        ran = run_jobs(session, kinds=["$name"], tools=fake_tools(mailer=mailbox))

    assert [job.result for job in ran] == [{"sent": True}, {"sent": False, "reason": "the account is gone"}]
    (letter,) = mailbox.sent
    assert letter.to.address == person.email
    assert "Hello Zoë Ångström," in letter.text
''')


def files_of(name: str, *, does: str | None, mail: bool) -> Mapping[str, str]:
    """Return the new job's files by their paths in the checkout.

    Raises:
        InvalidInputError: the name, or what the job does, does not fit.
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
        f"moneyflow/jobs/{name}.py": _CONTRACT,
        f"workers/jobs/{name}.py": _MAIL_HANDLER if mail else _HANDLER,
        f"tests/integration/test_{name}.py": _MAIL_TEST if mail else _TEST,
    }
    if mail:
        texts[f"mail_templates/{name}.jinja"] = _MAIL
    return {path: text.substitute(words) for path, text in texts.items()}


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write all the files, or none.

    Raises:
        ConflictError: one of them is there, or cannot be written.
    """
    taken = [path for path in files if (root / path).exists()]
    if taken:
        raise ConflictError(f"nothing was written, for it is taken: {', '.join(taken)}; choose another name")
    written: list[Path] = []
    try:
        for path, text in files.items():
            with (root / path).open("x", encoding="utf-8") as opened:
                written.append(root / path)
                opened.write(text)
    except OSError as error:
        for file in written:
            file.unlink()
        raise ConflictError(f"nothing was written, for {error.filename} could not be: {error.strerror}") from error


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise InvalidInputError(
            f"NAME: {name!r} is not of the form send_email: words in lower case, joined by '_', 2 to {_LONGEST_NAME} "
            "characters in all"
        )
    if name in _USED or keyword.iskeyword(name):
        raise InvalidInputError(f"NAME: {name!r} has a meaning of its own in the files of a job; choose another name")


def _sentence(does: str) -> str:
    """Return what the job does as the one line that it must be in the files."""
    does = does.strip().rstrip(".")
    if not does or len(does) > _LONGEST_WORDS or not does.isprintable() or set(does) & set('"\\{}<>'):
        raise InvalidInputError(
            f"--does: give one line of 1 to {_LONGEST_WORDS} characters, without quotes, braces, angle brackets and "
            "backslashes"
        )
    return does
