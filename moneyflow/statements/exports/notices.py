"""Notices: the mail that an export is ready, whose values are read when it is sent."""

from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.accounts import mails
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.mails import Mail
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def send(
    session: Session, mailer: Mailer, settings: AccountSettings, mail: Mail, *, export_id: UUID, job_id: UUID
) -> dict[str, Any]:
    """Send the mail, unless the export does not exist any more; the result and the errors are those of any mail."""
    row = session.fetch_one(_QUERIES["ready"], {"id": export_id})
    if row is None:
        return {"sent": False, "reason": "the export has expired, or its account was deleted"}
    period = f"Your statement from {row['first_day']} to {row['last_day']}"
    values = {
        "what": period if row["first_day"] else "The export of all your data",
        "until": f"{row['expires_at']:%Y-%m-%d}",
        # The caller of this address must be signed in as the owner: the link alone opens nothing.
        "link": f"{settings.app_url}/v1/files/{row['file_id']}",
    }
    return mails.send(session, mailer, settings, mail, user_id=row["user_id"], job_id=job_id, values=values)
