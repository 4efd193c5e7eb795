"""Metrics of a worker's intake."""

from prometheus_client import Counter

#: `reason`: `unknown_job` for a message whose job has no row, else what is wrong with a body that the relay did not
#: write, such as `not_json` (`moneyflow.platform.brokers.job_message.decode` has them all).
refused_messages = Counter(
    "moneyflow_refused_messages_total", "Messages that were dead-lettered without a job", ["reason"]
)
