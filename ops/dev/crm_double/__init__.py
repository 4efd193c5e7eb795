"""A CRM for development and tests: HubSpot's API for contacts and a receiver of webhooks, with faults on demand.

Its contacts are in one SQLite file. `python -m ops.dev.crm_double PORT FILE` serves it; see `ops/runbooks/crm.md`.
"""
