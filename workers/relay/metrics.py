"""Metrics of the relay: what it publishes, and the states, depths and ages that the leader alone exports."""

from prometheus_client import Counter, Gauge

jobs_in_state = Gauge("moneyflow_jobs_in_state", "Unfinished and failed jobs by state", ["job", "state"])
jobs_parked = Gauge("moneyflow_jobs_parked", "Jobs that wait for a worker that can read them", ["job"])
job_oldest_due_seconds = Gauge(
    "moneyflow_job_oldest_due_seconds",
    "Seconds for which the oldest job has been due; those of paused kinds count, those that wait for a limit do not",
    ["job", "priority"],
)
kind_paused = Gauge("moneyflow_kind_paused", "1 for each paused kind", ["job", "by"])
kind_paused_seconds = Gauge("moneyflow_kind_paused_seconds", "Seconds since the kind was paused", ["job"])
limit_places = Gauge("moneyflow_limit_places", "Places of each limit, used and free", ["limit", "state"])
jobs_failed_messages = Gauge("moneyflow_jobs_failed_messages", "Messages on jobs_failed")
outbox_unpublished = Gauge("moneyflow_outbox_unpublished", "Rows that wait for the relay", ["kind"])
outbox_oldest_seconds = Gauge(
    "moneyflow_outbox_oldest_seconds", "Age of the oldest row that waits, in seconds", ["kind"]
)
relay_published = Counter("moneyflow_relay_published_total", "Messages and records that a broker confirmed", ["kind"])
relay_leader = Gauge("moneyflow_relay_leader", "1 on the relay that publishes, 0 on a standby")
