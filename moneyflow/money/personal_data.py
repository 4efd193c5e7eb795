"""Personal data of the books: categories and transactions, deleted ones too until they are purged."""

from pathlib import Path

from moneyflow.platform.personal_data import Part, declare
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Part(table="categories", query=_QUERIES["categories"]))
declare(Part(table="transactions", query=_QUERIES["transactions"]))
