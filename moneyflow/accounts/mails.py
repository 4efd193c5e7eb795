"""What stands in a mail and to whom it goes, read when it is made."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from moneyflow.accounts import tokens
from moneyflow.gateways.mail import Recipient
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries
from moneyflow.platform.settings import Settings

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: The templates whose mail carries a token, and where its link leads.
_TOKEN_PATHS = {"activation": "/activate"}


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail before it is rendered."""

    to: Recipient
    values: dict[str, str]


def compose(session: Session, settings: Settings, template: str, *, user_id: UUID, job_id: UUID) -> Letter | None:
    """Return the letter to the user, or None when the account is gone.

    A mail with a link gets its token here: the session then holds the token's hash, and must be committed before the
    mail is sent, so that no link ever reaches a person before it works.
    """
    row = session.fetch_one(_QUERIES["recipient"], {"user_id": user_id})
    if row is None:
        return None
    values = {"name": row["name"], "app_url": settings.app_url}
    if template in _TOKEN_PATHS:
        token = tokens.issue(
            session,
            secret_key=settings.secret_key.get_secret_value(),
            user_id=user_id,
            purpose=template,
            job_id=job_id,
        )
        # SECURITY: in the fragment, which browsers send to no server and write into no log.
        values["link"] = f"{settings.app_url}{_TOKEN_PATHS[template]}#token={token}"
    return Letter(to=Recipient(name=row["name"], address=row["email"]), values=values)
