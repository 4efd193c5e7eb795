"""Personal data of files: what they are; their content is in the same export."""

from pathlib import Path

from moneyflow.platform.personal_data import Part, declare
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Part(table="files", query=_QUERIES["files"]))
