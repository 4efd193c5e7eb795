"""Settling: payments that no job will charge any more, because an operator has cancelled or discarded it.

An attempt of the job may have charged before, and its answer be lost. So the provider is asked, and what it does not
know is declined with the code `cancelled`. A failed job is left to operators, who replay it: its payment stays pending.
"""

from pathlib import Path
from typing import Any

from moneyflow.gateways.payments import Declined, PaymentProvider
from moneyflow.payments import states
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

CANCELLED = "cancelled"
#: Minutes after the end of a job: a provider's search may miss a charge of the last ones.
QUIET_MINUTES = 10
#: Payments of one run.
_AT_ONCE = 100


def settle(session: Session, provider: PaymentProvider) -> dict[str, Any]:
    """Decide payments whose job has ended without them, each in a transaction of its own; return the counts.

    Raises:
        UnavailableError: the provider does not answer; the next run continues.
    """
    parameters = {"provider": provider.name, "quiet_minutes": QUIET_MINUTES, "limit": _AT_ONCE}
    rows = session.fetch_all(_QUERIES["abandoned"], parameters)
    counts: dict[str, Any] = {}
    for row in rows:
        session.commit()
        session.release()
        found = provider.find(row["id"], since=row["attempted_at"]) if row["attempted_at"] else None
        locked = states.lock(session, row["id"])
        assert locked is not None, "a payment is never deleted"
        state = states.decide(session, locked, found or Declined(CANCELLED))["state"]
        counts[state] = counts.get(state, 0) + 1
    return counts
