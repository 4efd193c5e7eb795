"""Metrics of the CRM sync: what came of people, how many are in which state, and for how long they wait."""

from prometheus_client import Counter, Gauge

#: Outcomes: synced, removed, unchanged (the CRM has the state already), refused (set aside, unless it may pass),
#: waiting (the CRM is down, or limits requests), and overtaken (another sender has them now).
people = Counter("moneyflow_crm_people_total", "People by what came of sending them", ["outcome"])
contacts = Gauge("moneyflow_crm_contacts", "People by the state of their contact", ["state"])
oldest_waiting = Gauge("moneyflow_crm_oldest_waiting_seconds", "Seconds since the oldest change that is not sent")
available = Gauge("moneyflow_crm_available", "1 while the CRM takes requests, 0 while its circuit breaker is open")
