"""The files of a new job: contract, handler, test and, with a mail, its template; they pass every check as written."""

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cronsim import CronSimError

from moneyflow.platform.errors import ConflictError, InvalidInputError
from moneyflow.platform.jobs.cron import ticks_after
from moneyflow.platform.jobs.limits import Limit, Rate
from moneyflow.platform.patterns import Pattern
from ops.dev.scaffold import templates
from ops.dev.scaffold.payload import Field, call, fields_of, imports

_NAME = Pattern(r"(?=.{2})[a-z][a-z0-9]*(_[a-z0-9]+)*", longest=100)
#: Characters; a line of a file may hold the name or the words twice, and 120 characters at most.
_LONGEST_NAME, _LONGEST_WORDS = 40, 60
#: Names that the written files use themselves, as they are or as a class's name.
_USED = frozenset(
    {"job", "retry_policy", "context", "result", "handles", "mail", "mails", "mailer", "accounts", "account_settings",
     "declare", "database", "enqueue", "people", "person", "mailbox", "new_mailbox", "ran", "run_jobs", "uuid4",
     "schedule", "limit", "rate", "decimal", "date", "datetime", "uuid"}
)  # fmt: skip

#: A limit's window by its unit, in seconds.
_WINDOWS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job that is written: its kind, what it does, its payload, and what else it has."""

    name: str
    does: str
    fields: tuple[Field, ...]
    mail: bool = False
    cron: str | None = None
    limit: str | None = None

    @property
    def contract(self) -> str:
        """The name of its class."""
        return "".join(part.capitalize() for part in self.name.split("_"))


def new_job(
    name: str,
    *,
    does: str | None = None,
    mail: bool = False,
    with_user: bool = True,
    fields: Sequence[str] = (),
    cron: str | None = None,
    limit: str | None = None,
) -> NewJob:
    """Return the job that the options describe; a job with a cron has no user.

    Raises:
        InvalidInputError: an option is not valid, or two exclude each other; names them.
    """
    _check_name(name)
    if mail and (cron or not with_user):
        raise InvalidInputError("--mail: a mail goes to a user; leave --cron and --no-user out")
    payload = fields_of(fields, with_user=with_user and not cron)
    required = [field.name for field in payload if field.required]
    if cron and required:
        raise InvalidInputError(f"--cron: a tick gives no {', '.join(required)}; let the field be left out: NAME:TYPE?")
    return NewJob(
        name=name,
        does=sentence(does or name.replace("_", " ")),
        fields=payload,
        mail=mail,
        cron=_cron(cron) if cron is not None else None,
        limit=_limit(name, limit) if limit is not None else None,
    )


def files_of(job: NewJob) -> Mapping[str, str]:
    """Return the new job's files by their paths in the checkout."""
    words = _words(job)
    texts = {
        f"moneyflow/jobs/{job.name}.py": templates.MAIL_CONTRACT if job.mail else templates.CONTRACT,
        f"workers/jobs/{job.name}.py": templates.MAIL_HANDLER if job.mail else templates.HANDLER,
        f"tests/integration/test_{job.name}.py": templates.MAIL_TEST if job.mail else templates.TEST,
    }
    if job.mail:
        texts[f"mail_templates/{job.name}.jinja"] = templates.MAIL
    return {path: text.substitute(words) for path, text in texts.items()}


def _words(job: NewJob) -> dict[str, str]:
    """Return what fills the templates in."""
    begun = job.does[0].upper() + job.does[1:]
    declared = "".join(f"{field.declared}\n" for field in job.fields)
    rate = ", Rate" if job.limit and "Rate(" in job.limit else ""
    return {
        "name": job.name,
        "contract": job.contract,
        "does": job.does,
        "does_begun": begun,
        "subject": begun,
        "imports": imports(job.fields),
        "test_imports": imports(job.fields, values=True),
        "fields": f"\n{declared}" if declared else "",
        "call": call(job.contract, job.fields, indent=12 if job.mail else 4, user="user_id" if job.mail else None),
        "limit": f"\n{job.limit}\n" if job.limit and not job.mail else f"{job.limit}\n" if job.limit else "",
        "limit_import": f"from moneyflow.platform.jobs.limits import Limit{rate}\n" if job.limit else "",
        "limit_argument": "    limit=LIMIT,\n" if job.limit else "",
        "schedule_import": "from moneyflow.platform.jobs.schedules import Schedule, declare\n" if job.cron else "",
        "schedule": _schedule(job),
    }


def _schedule(job: NewJob) -> str:
    if job.cron is None:
        return ""
    return templates.SCHEDULE.substitute({"name": job.name, "cron": job.cron, "contract": job.contract})


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


def sentence(does: str) -> str:
    """Return the description as the one line that the files hold."""
    does = does.strip().rstrip(".")
    if not does or len(does) > _LONGEST_WORDS or not does.isprintable() or set(does) & set('"\\{}<>'):
        raise InvalidInputError(
            f"--does: give one line of 1 to {_LONGEST_WORDS} characters, without quotes, braces, angle brackets and "
            "backslashes"
        )
    return does


def _cron(text: str) -> str:
    """Return a cron expression that can be read; raises InvalidInputError."""
    try:
        next(ticks_after(datetime.now(UTC), cron=text, time_zone="UTC"))
    except CronSimError as error:
        raise InvalidInputError(f"--cron {text}: {error}; give five fields, such as '0 3 * * *'") from error
    return text


def _limit(name: str, text: str) -> str:
    """Return the line that declares a limit: `3` at once, or `100/m` in a window; raises InvalidInputError."""
    count, slash, unit = text.partition("/")
    if not (count.isascii() and count.isdigit() and int(count)) or (slash and unit not in _WINDOWS):
        raise InvalidInputError(
            f"--limit {text}: give how many run at once, such as 3, or a rate: 5/s, 100/m, 1000/h, 9/d"
        )
    try:
        if slash:
            Limit(name=name, rate=Rate(limit=int(count), per_seconds=_WINDOWS[unit]))
        else:
            Limit(name=name, concurrency=int(count))
    except ValueError as error:
        raise InvalidInputError(f"--limit {text}: {error}") from error
    what = f"rate=Rate(limit={int(count)}, per_seconds={_WINDOWS[unit]})" if slash else f"concurrency={int(count)}"
    return f'LIMIT = Limit(name="{name}", {what})'
