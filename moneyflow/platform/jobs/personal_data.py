"""Personal data of jobs and batches: what a person's requests have left, without payloads."""

from pathlib import Path

from moneyflow.platform.personal_data import Part, declare
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Part(table="jobs", query=_QUERIES["jobs"]))
declare(Part(table="batches", query=_QUERIES["batches"]))
