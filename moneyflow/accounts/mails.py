"""Mails to users: the recipient and the values of a mail, read when it is sent."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from moneyflow.accounts import tokens
from moneyflow.accounts.names import has_link, is_plain
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Recipient
from moneyflow.mails import Link, Mail
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

#: How a mail greets a person whose stored name has a link, from before such names were refused.
_UNNAMED = "friend"

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class ComposedMail:
    """A mail before it is rendered: its template, recipient and values."""

    template: str
    to: Recipient
    values: dict[str, str | int]


def compose(
    session: Session, settings: AccountSettings, mail: Mail, *, user_id: UUID, job_id: UUID
) -> ComposedMail | None:
    """Return the mail to a user, or None when the account does not exist any more.

    A mail with a link gets its token here. The session then holds the token's hash: commit it before the mail is sent,
    so that the link works when the person receives it.
    """
    row = session.fetch_one(_QUERIES["recipient"], {"user_id": user_id})
    if row is None:
        return None
    # A name that no header can carry stays: the mailer fails such a mail for good, with its reason.
    name = "" if is_plain(row["name"]) and has_link(row["name"]) else row["name"]
    values: dict[str, str | int] = {"name": name or _UNNAMED, "app_url": settings.app_url}
    if mail.link is not None:
        values["link"] = _url(session, settings, mail.link, user_id=user_id, job_id=job_id)
        values["hours"] = mail.link.hours
    return ComposedMail(template=mail.name, to=Recipient(name=name, address=row["email"]), values=values)


def _url(session: Session, settings: AccountSettings, link: Link, *, user_id: UUID, job_id: UUID) -> str:
    key = settings.secret_key.get_secret_value()
    token = tokens.issue(session, link, secret_key=key, user_id=user_id, job_id=job_id)
    # SECURITY: in the fragment, which browsers send to no server and write to no log.
    return f"{settings.app_url}{link.path}#token={token}"
