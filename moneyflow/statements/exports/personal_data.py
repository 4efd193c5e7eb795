"""Personal data of exports; the files themselves are copies of what is exported."""

from pathlib import Path

from moneyflow.platform.personal_data import Part, declare
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Part(table="exports", query=_QUERIES["exports"]))
