"""Metrics of mails: how many, by template and outcome."""

from collections.abc import Callable

from prometheus_client import Counter

from moneyflow.gateways.mail import Bounce
from moneyflow.platform.errors import PermanentError

#: The outcomes: sent, bounced, suppressed (not sent, because the address bounced lately), refused (its job fails for
#: good), later (its job retries).
emails = Counter("moneyflow_emails_total", "Mails by outcome", ["template", "outcome"])


def counted(template: str, send: Callable[[], Bounce | None]) -> Bounce | None:
    """Send a mail, and count it by its outcome."""
    try:
        bounce = send()
    except PermanentError:
        emails.labels(template, "refused").inc()
        raise
    except Exception:
        emails.labels(template, "later").inc()
        raise
    emails.labels(template, "bounced" if bounce else "sent").inc()
    return bounce
