"""Personal data of the CRM sync: when a person last signed in, and what was sent when. The values are in `users`."""

from pathlib import Path

from moneyflow.platform.personal_data import Part, declare
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Part(table="crm.contacts", query=_QUERIES["contacts"]))
