"""Personal data of payments, without the provider's token of a card."""

from pathlib import Path

from moneyflow.platform.personal_data import Part, declare
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Part(table="payments", query=_QUERIES["payments"]))
