"""Metrics of the CRM gateway: requests by what came of them."""

from prometheus_client import Counter

#: `act` is upsert, remove or read. The outcomes: answered, refused (4xx of the content), limited (429), down, and
#: without_answer (whether it acted is unknown).
requests = Counter("moneyflow_crm_requests_total", "Requests to the CRM by outcome", ["adapter", "act", "outcome"])
