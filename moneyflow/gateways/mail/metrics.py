"""Metrics of mails: how many, by template and outcome."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter

from moneyflow.platform.errors import PermanentError

emails = Counter("moneyflow_emails_total", "Mails by outcome", ["template", "outcome"])


@contextmanager
def counted(template: str) -> Iterator[None]:
    """Count the mail that is sent in this block as sent, refused for good, or to be sent later."""
    try:
        yield
    except PermanentError:
        emails.labels(template, "refused").inc()
        raise
    except Exception:
        emails.labels(template, "later").inc()
        raise
    emails.labels(template, "sent").inc()
