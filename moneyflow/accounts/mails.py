"""Mails to users: the recipient and the values of a mail, read when it is sent, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from moneyflow.accounts import suppressions, tokens
from moneyflow.accounts.names import has_link, is_plain
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer, Recipient, metrics
from moneyflow.mails import Link, Mail
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

log = structlog.get_logger(__name__)

#: How a mail greets a person whose stored name has a link, from before such names were refused.
_UNNAMED = "friend"

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class ComposedMail:
    """A mail before it is rendered: its template, recipient and values."""

    template: str
    to: Recipient
    values: dict[str, str | int]


def send(
    session: Session,
    mailer: Mailer,
    settings: AccountSettings,
    mail: Mail,
    *,
    user_id: UUID,
    job_id: UUID,
    values: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Send a mail to a user, and return the result of the job that sends it; `values` are more of its template's.

    `sent` is false when the account does not exist any more, with the outcome `bounced` or `suppressed` when the mail
    server refused its address for good, now or lately, and with `repeated` when the user got this mail lately. It
    commits before the mail is sent: no transaction is open during the call, and the token of a link is stored by then.

    Raises:
        UnavailableError: the mail may be sent later.
        PermanentError: the mail can never be sent.
    """
    row = _recipient(session, mail, user_id=user_id, job_id=job_id)
    if row is None:
        what = "change of e-mail" if mail.is_of_email_change else "account"
        return {"sent": False, "reason": f"the {what} does not exist any more"}
    suppression = suppressions.find(session, settings, row["email"])
    if suppression is not None:
        metrics.emails.labels(mail.name, "suppressed").inc()
        return _not_sent("suppressed", suppression["code"], suppression["status"], _since(suppression))
    if mail.once_in_hours is not None and not _is_due(session, mail, mail.once_in_hours, user_id, job_id=job_id):
        metrics.emails.labels(mail.name, "repeated").inc()
        reason = f"another one was sent within {mail.once_in_hours} hours"
        return {"sent": False, "outcome": "repeated", "reason": reason}
    composed = _composed(session, settings, mail, row, job_id=job_id)
    session.commit()
    bounce = mailer.send(composed.template, to=composed.to, values={**composed.values, **(values or {})}, job_id=job_id)
    if mail.is_of_email_change:
        session.execute(_QUERIES["forget_old_address"], {"job_id": job_id})
    if bounce is None:
        return {"sent": True}
    log.info("mail_bounced", job_id=str(job_id), template=mail.name, code=bounce.code, status=bounce.status)
    if bounce.is_lasting:
        suppressions.add(session, settings, bounce, user_id=user_id, address=row["email"])
    return _not_sent("bounced", bounce.code, bounce.status, bounce.reason)


def compose(
    session: Session, settings: AccountSettings, mail: Mail, *, user_id: UUID, job_id: UUID
) -> ComposedMail | None:
    """Return the mail to a user, or None when the account does not exist any more.

    A mail with a link gets its token here. The session then holds the token's hash: commit it before the mail is sent,
    so that the link works when the person receives it.
    """
    row = _recipient(session, mail, user_id=user_id, job_id=job_id)
    return _composed(session, settings, mail, row, job_id=job_id) if row is not None else None


def _recipient(session: Session, mail: Mail, *, user_id: UUID, job_id: UUID) -> DictRow | None:
    query = _QUERIES["recipient_of_change" if mail.is_of_email_change else "recipient"]
    return session.fetch_one(query, {"user_id": user_id, "job_id": job_id})


def _is_due(session: Session, mail: Mail, hours: int, user_id: UUID, *, job_id: UUID) -> bool:
    """Return whether no other job has sent the mail to the user within these hours, and note that this one does."""
    parameters = {"user_id": user_id, "mail": mail.name, "job_id": job_id, "hours": hours}
    return session.fetch_one(_QUERIES["take_place"], parameters) is not None


def _composed(session: Session, settings: AccountSettings, mail: Mail, row: DictRow, *, job_id: UUID) -> ComposedMail:
    # A name that no header can carry stays: the mailer fails such a mail for good, with its reason.
    name = "" if is_plain(row["name"]) and has_link(row["name"]) else row["name"]
    values: dict[str, str | int] = {"name": name or _UNNAMED, "app_url": settings.app_url}
    if mail.link is not None:
        values["link"] = _url(session, settings, mail.link, user_id=row["id"], job_id=job_id)
        values["hours"] = mail.link.hours
    return ComposedMail(template=mail.name, to=Recipient(name=name, address=row["email"]), values=values)


def _not_sent(outcome: str, code: int, status: str | None, reason: str) -> dict[str, Any]:
    return {"sent": False, "outcome": outcome, "code": code, "status": status, "reason": reason}


def _since(suppression: DictRow) -> str:
    days = f"{suppression['bounced_at']:%Y-%m-%d} to {suppression['expires_at']:%Y-%m-%d}"
    return f"the address bounced: no mail is sent to it from {days}, unless an operator releases it"


def _url(session: Session, settings: AccountSettings, link: Link, *, user_id: UUID, job_id: UUID) -> str:
    key = settings.secret_key.get_secret_value()
    token = tokens.issue(session, link, secret_key=key, user_id=user_id, job_id=job_id)
    # SECURITY: in the fragment, which browsers send to no server and write to no log.
    return f"{settings.app_url}{link.path}#token={token}"
