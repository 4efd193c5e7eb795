"""Metrics of mails."""

from prometheus_client import Counter, Histogram

#: Seconds; from a worker that is idle to a mail that waits for the end of an outage.
_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)

emails = Counter("moneyflow_emails_total", "Mails by outcome", ["template", "outcome"])
email_delivery_seconds = Histogram(
    "moneyflow_email_delivery_seconds",
    "Seconds from the enqueuing of a mail's job to the mail server's acceptance",
    ["template"],
    buckets=_BUCKETS,
)
