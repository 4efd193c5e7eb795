"""Metrics of a consumer: its lag, what became of the records, and its last progress."""

from prometheus_client import Counter, Gauge

consumer_lag = Gauge("moneyflow_consumer_lag", "Records behind the end", ["sink", "topic", "partition"])
consumer_events = Counter("moneyflow_consumer_events_total", "Records by outcome", ["sink", "outcome"])
consumer_last_progress = Gauge(
    "moneyflow_consumer_last_progress_timestamp_seconds",
    "When the sink last wrote a batch or had nothing to write",
    ["sink"],
)
