"""Metrics of a consumer: its lag, what became of the records, and its last progress."""

from prometheus_client import Counter, Gauge, Histogram

#: Seconds; from an idle consumer to one that reads the backlog of a day.
_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)

consumer_lag = Gauge("moneyflow_consumer_lag", "Records behind the end", ["sink", "topic", "partition"])
consumer_lag_seconds = Gauge(
    "moneyflow_consumer_lag_seconds",
    "Seconds up to which the sink may be behind: 0 when it has all records, else the age of what it surely has",
    ["sink"],
)
event_delivery_seconds = Histogram(
    "moneyflow_event_delivery_seconds",
    "Seconds from the emission of an event to its commit in the sink",
    ["sink"],
    buckets=_BUCKETS,
)
consumer_events = Counter("moneyflow_consumer_events_total", "Records by outcome", ["sink", "outcome"])
consumer_last_progress = Gauge(
    "moneyflow_consumer_last_progress_timestamp_seconds",
    "When the sink last wrote a batch or had nothing to write",
    ["sink"],
)
