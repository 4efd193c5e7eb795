"""Personal data of imports: what was imported, and which rows were refused."""

from pathlib import Path

from moneyflow.platform.personal_data import Part, declare, leave_out
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Part(table="imports", query=_QUERIES["imports"]))
leave_out("import_keys", reason="hashes of the person's own transactions, which are in the export")
