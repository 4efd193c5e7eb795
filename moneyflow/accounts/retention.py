"""Retention of mailed tokens, of suppressed addresses and of what mails need: until they expire.

An account that was never activated expires too, days after the sign-up: its address is free again, and what a stranger
has written there is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from moneyflow.events.user import UserDeleted
from moneyflow.platform.database import Session
from moneyflow.platform.events.emit import emit
from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare
from moneyflow.platform.settings import RetentionSettings

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: A week after the sign-up, and no earlier than the last link that was mailed.
INACTIVE_KEPT = timedelta(days=7)
#: Accounts of one transaction: each has an event, which is a statement of its own.
_ACCOUNTS_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class InactiveAccountsRule(Rule):
    """Deletes accounts that were not activated in time, each with its event in the same transaction."""

    def batches(self, session: Session, settings: RetentionSettings, *, limit: int) -> Iterator[int]:
        """Delete batch by batch and yield the accounts of each."""
        at_once = min(limit, _ACCOUNTS_AT_ONCE)
        found = at_once
        while found >= at_once:
            rows = session.fetch_all(self.query, {**self.parameters(settings), "limit": at_once})
            for row in rows:
                emit(session, UserDeleted(sequence=row["version"] + 1, user_id=row["id"]))
            found = len(rows)
            yield found


declare(Rule(table="user_tokens", query=_QUERIES["user_tokens"]))
declare(Rule(table="mail_suppressions", query=_QUERIES["mail_suppressions"]))
declare(InactiveAccountsRule(table="users", query=_QUERIES["users"], parameters=lambda _: {"kept": INACTIVE_KEPT}))
declare(Rule(table="sent_mails", query=_QUERIES["sent_mails"]))
declare(Rule(table="email_changes", query=_QUERIES["email_changes"]))
