"""Metrics of a worker's intake."""

from prometheus_client import Counter

#: `reason`: `undecodable` for a body that the relay did not write, `unknown_job` for one whose job has no row.
refused_messages = Counter(
    "moneyflow_refused_messages_total", "Messages that were dead-lettered without a job", ["reason"]
)
