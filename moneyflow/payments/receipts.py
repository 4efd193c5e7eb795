"""Receipts: the mail about a payment, whose values are read when it is sent."""

from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.accounts import mails
from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Mailer
from moneyflow.mails import Mail
from moneyflow.money.amounts import write_amount
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def send(
    session: Session, mailer: Mailer, settings: AccountSettings, mail: Mail, *, payment_id: UUID, job_id: UUID
) -> dict[str, Any]:
    """Send a receipt, unless the account does not exist any more; the result and the errors are those of any mail."""
    row = session.fetch_one(_QUERIES["receipt"], {"id": payment_id})
    if row is None or row["user_id"] is None:
        return {"sent": False, "reason": "the account does not exist any more"}
    values = {
        "amount": write_amount(row["amount"]),
        "currency": row["currency"],
        "payment_id": str(payment_id),
    }
    return mails.send(session, mailer, settings, mail, user_id=row["user_id"], job_id=job_id, values=values)
