"""Metrics of mails."""

from prometheus_client import Counter

emails = Counter("moneyflow_emails_total", "Mails by outcome", ["template", "outcome"])
