"""Metrics of mails: how many, by template and outcome."""

from collections.abc import Callable
from uuid import UUID

from prometheus_client import Counter, Histogram

from moneyflow.gateways.mail import Bounce
from moneyflow.platform import clock
from moneyflow.platform.errors import PermanentError
from moneyflow.platform.ids import made_at

#: Seconds; from a worker that is idle to a mail that waits for the end of an outage.
_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)

#: The outcomes: sent, bounced, suppressed (not sent, because the address bounced lately), repeated (not sent,
#: because the user got the same mail lately), refused (its job fails for good), later (its job retries).
emails = Counter("moneyflow_emails_total", "Mails by outcome", ["template", "outcome"])
email_delivery_seconds = Histogram(
    "moneyflow_email_delivery_seconds",
    "Seconds from the enqueuing of a mail's job to the mail server's acceptance",
    ["template"],
    buckets=_BUCKETS,
)


def counted(template: str, send: Callable[[], Bounce | None], *, job_id: UUID) -> Bounce | None:
    """Send a mail, and count it by its outcome.

    The age of its job, which a UUIDv7 holds, is how long its delivery took.
    """
    try:
        bounce = send()
    except PermanentError:
        emails.labels(template, "refused").inc()
        raise
    except Exception:
        emails.labels(template, "later").inc()
        raise
    emails.labels(template, "bounced" if bounce else "sent").inc()
    if bounce is None:
        seconds = (clock.now() - made_at(job_id)).total_seconds()
        email_delivery_seconds.labels(template).observe(max(seconds, 0))
    return bounce
